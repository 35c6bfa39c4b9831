variable "approval_gate" {
  description = <<-EOT
    The approval gate; null turns it off, `{}` takes all defaults.
    - `approvers`: Slack user ids of those who may decide where a request names nobody.
    - `default_timeout`: seconds until a request that sets no `timeout_seconds` times out; a day, or `execution_timeout` - 120 where that is less.
    - `event_bus_name`: EventBridge bus of this account and region that gets the events `Approval Requested` and `Approval Decided`.
    - `execution_timeout`: seconds after which AWS ends a durable execution: the upper limit of every request's timeout, plus 120. 31 days.
    - `memory_size`: MB of the durable function.
    - `reserved_concurrency`: of the durable function; -1 reserves nothing. Waiting requests use none.
    - `retention_period`: days that AWS keeps the history of an ended execution.
    - `webhook`: the function that receives the clicks, and the requests per second that its API lets through (`throttling`: `rate_limit`, `burst_limit`).
  EOT
  type = object({
    approvers            = optional(list(string), [])
    default_timeout      = optional(number)
    event_bus_name       = optional(string, "default")
    execution_timeout    = optional(number, 2678400)
    memory_size          = optional(number, 512)
    reserved_concurrency = optional(number, -1)
    retention_period     = optional(number, 14)
    webhook = optional(object({
      memory_size          = optional(number, 512)
      reserved_concurrency = optional(number, -1)
      throttling = optional(object({
        burst_limit = optional(number, 100)
        rate_limit  = optional(number, 50)
      }), {})
    }), {})
  })
  default = null

  validation {
    condition     = var.approval_gate == null || var.slack != null
    error_message = "approval_gate is set but slack is null: set slack = { bot_token_secret_arn, signing_secret_secret_arn, channel }, or approval_gate = null to leave the gate out."
  }

  validation {
    condition     = alltrue([for id in try(var.approval_gate.approvers, []) : can(regex("^[UW][A-Z0-9]+$", id))])
    error_message = "approval_gate.approvers is ${jsonencode(try(var.approval_gate.approvers, []))}: give Slack user ids such as \"U0123ABCD\" (profile, \"Copy member ID\"), not names or e-mail addresses."
  }

  validation {
    condition     = can(regex("^[A-Za-z0-9._/-]{1,256}$", var.approval_gate.event_bus_name)) || var.approval_gate == null
    error_message = "approval_gate.event_bus_name is \"${try(var.approval_gate.event_bus_name, "")}\": give the name (not ARN) of an event bus, \"default\" or one of your own."
  }

  validation {
    condition     = try(var.approval_gate.execution_timeout >= 180 && var.approval_gate.execution_timeout <= 31622400 && floor(var.approval_gate.execution_timeout) == var.approval_gate.execution_timeout, var.approval_gate == null)
    error_message = "approval_gate.execution_timeout is ${try(var.approval_gate.execution_timeout, 0)}: give 180 to 31622400 seconds (366 days)."
  }

  validation {
    condition     = try(var.approval_gate.default_timeout, null) == null || try(var.approval_gate.default_timeout >= 1 && var.approval_gate.default_timeout <= var.approval_gate.execution_timeout - 120, false)
    error_message = "approval_gate.default_timeout is ${try(coalesce(var.approval_gate.default_timeout), 0)}: it must be 1 to ${try(var.approval_gate.execution_timeout - 120, 0)} seconds, that is approval_gate.execution_timeout (${try(var.approval_gate.execution_timeout, 0)}) less 120 for the last messages. Lower it or raise execution_timeout."
  }

  validation {
    condition     = try(var.approval_gate.retention_period >= 1 && var.approval_gate.retention_period <= 90, var.approval_gate == null)
    error_message = "approval_gate.retention_period is ${try(var.approval_gate.retention_period, 0)}: give 1 to 90 days."
  }
}

variable "bucket" {
  description = <<-EOT
    The bucket for function packages, approval claims, and the maintenance gate's flags and parked tasks.
    - `existing`: a bucket of your own in the same region, with the KMS key of its objects if it has one. Let nothing below `functions/` or the maintenance gate's prefix expire, and do not version it.
    - `force_destroy`: whether `terraform destroy` may delete the bucket with parked tasks in it (their executions then wait until they time out).
    - `kms_key_arn`: KMS key instead of SSE-S3.
    - `name`: instead of a generated one that begins with `<name>-gates-`.
  EOT
  type = object({
    existing = optional(object({
      arn         = string
      kms_key_arn = optional(string)
    }))
    force_destroy = optional(bool, false)
    kms_key_arn   = optional(string)
    name          = optional(string)
  })
  default  = {}
  nullable = false

  validation {
    condition     = var.bucket.existing == null || can(regex("^arn:[^:]+:s3:::[a-z0-9][a-z0-9.-]{1,61}[a-z0-9]$", var.bucket.existing.arn))
    error_message = "bucket.existing.arn is \"${try(var.bucket.existing.arn, "")}\": give the ARN of a bucket, arn:aws:s3:::NAME."
  }

  validation {
    condition     = var.bucket.existing == null || (var.bucket.kms_key_arn == null && var.bucket.name == null && !var.bucket.force_destroy)
    error_message = "bucket.existing is set together with force_destroy, kms_key_arn or name: those are for a bucket that this module makes. Put the key of your own bucket into bucket.existing.kms_key_arn."
  }

  validation {
    condition     = var.bucket.name == null || can(regex("^[a-z0-9][a-z0-9-]{1,61}[a-z0-9]$", var.bucket.name))
    error_message = "bucket.name is \"${try(coalesce(var.bucket.name), "")}\": use 3 to 63 lower-case letters, digits and hyphens, with no hyphen at either end."
  }
}

variable "environment" {
  description = "Label that messages and events show, so that people see what they are about, for example \"production\"; null means `name`."
  type        = string
  default     = null
}

variable "lambda" {
  description = <<-EOT
    What all functions have in common:
    - `alarm_actions`: ARNs that the alarms notify (errors and throttles of each function, and what the maintenance gate tells); null makes no alarms, `[]` alarms that notify nobody.
    - `environment_kms_key_arn`: KMS key of the environment variables (which hold no secrets).
    - `failed_events`: SQS queue or SNS topic for asynchronous events that failed for good.
    - `permissions_boundary_arn`, `role_path`: of the execution roles.
    - `runtime`: `python3.13` or `python3.14`.
    - `tracing`: X-Ray active tracing.
    - `vpc`: subnets and security groups; they need a way to the AWS APIs and, where `slack` is set, to Slack.
  EOT
  type = object({
    alarm_actions            = optional(list(string))
    environment_kms_key_arn  = optional(string)
    failed_events            = optional(object({ arn = string }))
    permissions_boundary_arn = optional(string)
    role_path                = optional(string, "/")
    runtime                  = optional(string, "python3.13")
    tracing                  = optional(bool, false)
    vpc = optional(object({
      security_group_ids = list(string)
      subnet_ids         = list(string)
    }))
  })
  default  = {}
  nullable = false

  validation {
    condition     = var.lambda.failed_events == null || can(regex("^arn:[^:]+:(sqs|sns):[^:]+:[0-9]{12}:[A-Za-z0-9_-]+$", var.lambda.failed_events.arn))
    error_message = "lambda.failed_events.arn is \"${try(var.lambda.failed_events.arn, "")}\": give the ARN of an SQS queue or an SNS topic, arn:aws:sqs:... or arn:aws:sns:..., that is not FIFO (Lambda takes none)."
  }

  validation {
    condition     = can(regex("^/([A-Za-z0-9_+=,.@-]+/)*$", var.lambda.role_path))
    error_message = "lambda.role_path is \"${var.lambda.role_path}\": it must begin and end with \"/\", for example \"/workflow-gates/\"."
  }

  validation {
    condition     = contains(["python3.13", "python3.14"], var.lambda.runtime)
    error_message = "lambda.runtime is \"${var.lambda.runtime}\": the functions are made for python3.13 or python3.14."
  }

  validation {
    condition     = var.lambda.vpc == null || try(length(var.lambda.vpc.subnet_ids) > 0 && length(var.lambda.vpc.security_group_ids) > 0, false)
    error_message = "lambda.vpc has no subnet or no security group: give at least one of each, or leave vpc out."
  }
}

variable "logs" {
  description = "The log groups: retention in days, KMS key (its policy must let CloudWatch Logs use it), and the least level that the functions log (`DEBUG`, `INFO`, `WARN`, `ERROR`)."
  type = object({
    kms_key_arn       = optional(string)
    level             = optional(string, "INFO")
    retention_in_days = optional(number, 30)
  })
  default  = {}
  nullable = false

  validation {
    condition     = contains(["DEBUG", "INFO", "WARN", "ERROR"], var.logs.level)
    error_message = "logs.level is \"${var.logs.level}\": use DEBUG, INFO, WARN or ERROR (above that, failures would not be seen)."
  }

  validation {
    condition = contains(
      [1, 3, 5, 7, 14, 30, 60, 90, 120, 150, 180, 365, 400, 545, 731, 1096, 1827, 2192, 2557, 2922, 3288, 3653], var.logs.retention_in_days
    )
    error_message = "logs.retention_in_days is ${var.logs.retention_in_days}: CloudWatch Logs knows 1, 3, 5, 7, 14, 30, 60, 90, 120, 150, 180, 365, 400, 545, 731, 1096, 1827, 2192, 2557, 2922, 3288 and 3653 (logs without an end are not offered)."
  }
}

variable "maintenance_gate" {
  description = <<-EOT
    The maintenance gate; null turns it off, `{}` takes all defaults.
    - `alarm_parked_hours`: how long a task may be parked before an alarm asks whether the maintenance is still meant to be on; only with `lambda.alarm_actions`.
    - `event_bus_name`: EventBridge bus of this account and region that gets the events `Maintenance Began`, `Maintenance Ended` and `Maintenance Trouble`.
    - `memory_size`: MB of the function.
    - `notices`: Slack messages when a maintenance begins, with a button that ends it, when it is over, and about trouble: `channel` by id (null: `slack.channel`), and the `approvers` who may click it, by Slack user id (`users`) and user group id (`groups`). They need `slack`.
    - `prefix`: key prefix of its flags and parked tasks. Two gates that share a bucket need two prefixes.
    - `reserved_concurrency`: -1 reserves nothing.
    - `resume_rate_per_second`: parked tasks that one drain resumes per second at most, 1 to 500; the account's quota for task answers refills with 300 per second in most regions. A high rate needs CPU, which comes with `memory_size`.
    - `state_machine_names`: names of the state machines of this account and region that the gate may look at and tag; `*` stands for any characters.
    - `timeout`: seconds, 300 to 900, that one invocation may take.
    - `windows`: maintenance windows by name, each with a `schedule` (`at(2030-01-31T22:00:00)`, `cron(0 22 ? * SUN *)` or `rate(7 days)`, which begins at once), its `timezone` (UTC), `duration_minutes` (1 to 10080), `state_machine_names` (without `*`; all if left out) and a `reason`.
  EOT
  type = object({
    alarm_parked_hours = optional(number, 24)
    event_bus_name     = optional(string, "default")
    memory_size        = optional(number, 512)
    notices = optional(object({
      approvers = object({
        groups = optional(list(string), [])
        users  = optional(list(string), [])
      })
      channel = optional(string)
    }))
    prefix                 = optional(string, "maintenance")
    reserved_concurrency   = optional(number, -1)
    resume_rate_per_second = optional(number, 200)
    state_machine_names    = optional(list(string), ["*"])
    timeout                = optional(number, 300)
    windows = optional(map(object({
      duration_minutes    = number
      reason              = optional(string)
      schedule            = string
      state_machine_names = optional(list(string))
      timezone            = optional(string, "UTC")
    })), {})
  })
  default = null

  validation {
    condition     = try(var.maintenance_gate.alarm_parked_hours > 0 && var.maintenance_gate.alarm_parked_hours <= 8784, var.maintenance_gate == null)
    error_message = "maintenance_gate.alarm_parked_hours is ${try(var.maintenance_gate.alarm_parked_hours, 0)}: give hours, more than 0 and at most 8784 (a year: no execution lives longer)."
  }

  validation {
    condition     = can(regex("^[A-Za-z0-9._/-]{1,256}$", var.maintenance_gate.event_bus_name)) || var.maintenance_gate == null
    error_message = "maintenance_gate.event_bus_name is \"${try(var.maintenance_gate.event_bus_name, "")}\": give the name (not ARN) of an event bus, \"default\" or one of your own."
  }

  validation {
    condition     = try(var.maintenance_gate.notices, null) == null || var.slack != null
    error_message = "maintenance_gate.notices is set but slack is null: set slack = { bot_token_secret_arn, signing_secret_secret_arn, channel }, or leave notices out."
  }

  validation {
    condition     = try(var.maintenance_gate.notices, null) == null || try(length(concat(var.maintenance_gate.notices.approvers.users, var.maintenance_gate.notices.approvers.groups)) > 0 && alltrue([for id in var.maintenance_gate.notices.approvers.users : can(regex("^[UW][A-Z0-9]+$", id))]) && alltrue([for id in var.maintenance_gate.notices.approvers.groups : can(regex("^S[A-Z0-9]+$", id))]), false)
    error_message = "maintenance_gate.notices.approvers is ${jsonencode(try(var.maintenance_gate.notices.approvers, {}))}: give at least one Slack user id such as \"U0123ABCD\" (profile, \"Copy member ID\") in users, or user group id such as \"S0123ABCD\" in groups, not names."
  }

  validation {
    condition     = try(var.maintenance_gate.notices, null) == null || var.slack == null || can(regex("^[CG][A-Z0-9]{2,}$", coalesce(var.maintenance_gate.notices.channel, var.slack.channel)))
    error_message = "maintenance_gate.notices.channel is \"${try(coalesce(var.maintenance_gate.notices.channel, var.slack.channel), "")}\" (slack.channel where it is left out): give the id of a channel such as \"C0123ABCD\", not its name, because Slack finds a channel's messages by its id only."
  }

  validation {
    condition     = can(regex("^[A-Za-z0-9][A-Za-z0-9_.-]*(/[A-Za-z0-9][A-Za-z0-9_.-]*)*$", var.maintenance_gate.prefix)) && !contains(["approval-claims", "functions"], try(split("/", var.maintenance_gate.prefix)[0], "")) || var.maintenance_gate == null
    error_message = "maintenance_gate.prefix is \"${try(var.maintenance_gate.prefix, "")}\": use letters, digits, \"_\", \".\" and \"-\", with \"/\" only in between, for example \"maintenance\"; \"~\" is the gate's own, and functions/ and approval-claims/ belong to others."
  }

  validation {
    condition     = try(var.maintenance_gate.resume_rate_per_second >= 1 && var.maintenance_gate.resume_rate_per_second <= 500 && floor(var.maintenance_gate.resume_rate_per_second) == var.maintenance_gate.resume_rate_per_second, var.maintenance_gate == null)
    error_message = "maintenance_gate.resume_rate_per_second is ${try(var.maintenance_gate.resume_rate_per_second, 0)}: give a whole number from 1 to 500, and stay below the account's quota for SendTaskSuccess."
  }

  validation {
    condition     = try(length(var.maintenance_gate.state_machine_names) > 0 && alltrue([for name in var.maintenance_gate.state_machine_names : can(regex("^[^\\s<>{}\\[\\]?\"#%\\\\^|~`$&,;:/]{1,80}$", name))]), var.maintenance_gate == null)
    error_message = "maintenance_gate.state_machine_names is ${jsonencode(try(var.maintenance_gate.state_machine_names, []))}: give at least one name (not ARN) or pattern such as \"Order*\"; [\"*\"] means all."
  }

  validation {
    condition     = try(var.maintenance_gate.timeout >= 300 && var.maintenance_gate.timeout <= 900, var.maintenance_gate == null)
    error_message = "maintenance_gate.timeout is ${try(var.maintenance_gate.timeout, 0)}: give 300 to 900 seconds; a drain needs at least five minutes."
  }
}

variable "name" {
  description = "Beginning of all names: `<name>-approval`, `<name>-slack-webhook`, `<name>-maintenance`. Two instances in one account and region need two names."
  type        = string
  nullable    = false

  validation {
    condition     = can(regex("^[a-z]([a-z0-9-]{0,38}[a-z0-9])?$", var.name))
    error_message = "name is \"${var.name}\" (${length(var.name)} characters): use 1 to 40 lower-case letters, digits and hyphens, beginning with a letter and not ending with a hyphen; the names made of it must stay below 64."
  }
}

variable "packages" {
  description = "Ready-made function packages in S3 (`make packages` builds them), by function, for machines that apply without Python. What is left out is built at apply."
  type = object({
    approval = optional(object({
      s3_bucket         = string
      s3_key            = string
      s3_object_version = optional(string)
    }))
    maintenance = optional(object({
      s3_bucket         = string
      s3_key            = string
      s3_object_version = optional(string)
    }))
    slack_webhook = optional(object({
      s3_bucket         = string
      s3_key            = string
      s3_object_version = optional(string)
    }))
  })
  default  = {}
  nullable = false
}

variable "python" {
  description = "Python (3.9 or newer, with pip or uv) that builds the packages on the machine that applies."
  type        = string
  default     = "python3"
  nullable    = false
}

variable "slack" {
  description = <<-EOT
    Slack; the approval gate needs it, and `maintenance_gate.notices`.
    - `api_url`: address of the Web API (GovSlack: `https://slack-gov.com/api/`).
    - `app_name`: name of the Slack app in the output `slack_app_manifest`; null means `Approvals <name>`, or `Maintenance <name>` without the approval gate.
    - `bot_token_secret_arn`, `signing_secret_secret_arn`: ARNs of the Secrets Manager secrets or SSM parameters that hold them. The values themselves stay out of Terraform.
    - `channel`: id (best: it survives a rename) or `#name` of the channel to ask in where a request names none.
    - `kms_key_arns`: KMS keys of the secrets, if they are your own.
  EOT
  type = object({
    api_url                   = optional(string, "https://slack.com/api/")
    app_name                  = optional(string)
    bot_token_secret_arn      = string
    channel                   = string
    kms_key_arns              = optional(list(string), [])
    signing_secret_secret_arn = string
  })
  default = null

  validation {
    condition     = can(regex("^(https://[^/]+|http://127\\.0\\.0\\.1:[0-9]+)/(.*/)?$", var.slack.api_url)) || var.slack == null
    error_message = "slack.api_url is \"${try(var.slack.api_url, "")}\": give an https:// address that ends in \"/\", such as https://slack.com/api/ (http:// is taken for 127.0.0.1 only)."
  }

  validation {
    condition     = try(var.slack.app_name, null) == null || try(length(var.slack.app_name) >= 1 && length(var.slack.app_name) <= 35, false)
    error_message = "slack.app_name is \"${try(coalesce(var.slack.app_name), "")}\": give 1 to 35 characters, Slack's limit."
  }

  # What is no ARN may be the secret itself: neither the messages nor Terraform's own note on the condition show it.
  validation {
    condition     = can(regex("^arn:[^:]+:(secretsmanager:[^:]+:[0-9]{12}:secret:.+-[A-Za-z0-9]{6}|ssm:[^:]+:[0-9]{12}:parameter/.+)$", lookup(var.slack, "bot_token_secret_arn", ""))) || var.slack == null
    error_message = "slack.bot_token_secret_arn is no such ARN: give the whole ARN of a Secrets Manager secret (with the six characters at its end) or of an SSM parameter, never the token itself."
  }

  validation {
    condition     = can(regex("^arn:[^:]+:(secretsmanager:[^:]+:[0-9]{12}:secret:.+-[A-Za-z0-9]{6}|ssm:[^:]+:[0-9]{12}:parameter/.+)$", lookup(var.slack, "signing_secret_secret_arn", ""))) || var.slack == null
    error_message = "slack.signing_secret_secret_arn is no such ARN: give the whole ARN of a Secrets Manager secret (with the six characters at its end) or of an SSM parameter, never the secret itself."
  }

  validation {
    condition     = can(regex("^([CGD][A-Z0-9]{2,}|#\\S{1,80})$", var.slack.channel)) || var.slack == null
    error_message = "slack.channel is \"${try(var.slack.channel, "")}\": give a channel id such as \"C0123ABCD\" (best: it survives a rename) or a name such as \"#approvals\"."
  }
}

variable "tags" {
  description = "Tags of everything that takes tags, but for S3 objects."
  type        = map(string)
  default     = {}
  nullable    = false
}
