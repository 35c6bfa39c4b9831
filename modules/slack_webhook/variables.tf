variable "approval" {
  description = <<-EOT
    The approval gate; null where only the maintenance gate uses Slack.
    - `event_bus_name`: EventBridge bus of this account and region that gets the event `Approval Decided` of an approval that died.
    - `function_arn`: unqualified ARN of the approval function (output `function_arn` of `modules/approval_gate`).
  EOT
  type = object({
    event_bus_name = optional(string, "default")
    function_arn   = string
  })
  default = null

  validation {
    condition     = var.approval == null || can(regex("^arn:[^:]+:lambda:[^:]+:[0-9]{12}:function:[A-Za-z0-9_-]+$", var.approval.function_arn))
    error_message = "approval.function_arn is \"${try(var.approval.function_arn, "")}\": give the unqualified ARN arn:aws:lambda:REGION:ACCOUNT:function:NAME, without version or alias."
  }

  validation {
    condition     = var.approval == null || can(regex("^[A-Za-z0-9._/-]{1,256}$", var.approval.event_bus_name))
    error_message = "approval.event_bus_name is \"${try(var.approval.event_bus_name, "")}\": give the name (not ARN) of an event bus, \"default\" or one of your own."
  }

  validation {
    condition     = var.approval != null || var.maintenance != null
    error_message = "approval and maintenance are both null: set at least one of them, or leave the module out, because nothing would come from Slack."
  }
}

variable "bucket" {
  description = "Bucket (`arn`, `name`, and `kms_key_arn` if its objects have a key) of the package and of the approval gate's claims."
  type = object({
    arn         = string
    kms_key_arn = optional(string)
    name        = string
  })
  nullable = false
}

variable "environment" {
  description = "Label that messages show, so that people see what they decide about, for example \"production\"; null means `name`."
  type        = string
  default     = null
}

variable "lambda" {
  description = "What all functions of a stack have in common (alarms, failed events, role, runtime, tracing, VPC); see `modules/lambda_function`."
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
}

variable "logs" {
  description = "The log groups: `retention_in_days`, `kms_key_arn` (the key's policy must let CloudWatch Logs use it) and `level`, the least that the function logs (`DEBUG`, `INFO`, `WARN`, `ERROR`)."
  type = object({
    kms_key_arn       = optional(string)
    level             = optional(string, "INFO")
    retention_in_days = optional(number, 30)
  })
  default  = {}
  nullable = false
}

variable "maintenance" {
  description = <<-EOT
    Notices of the maintenance gate, with a button that ends a maintenance; null gives none.
    - `approvers`: who may click it: Slack user ids (`users`) and user group ids (`groups`), at least one.
    - `channel`: id of the channel that is told.
    - `event_bus_name`: the maintenance gate's EventBridge bus.
    - `function_alias_arn`: ARN of the maintenance function's alias (output `alias_arn` of `modules/maintenance_gate`).
  EOT
  type = object({
    approvers = object({
      groups = optional(list(string), [])
      users  = optional(list(string), [])
    })
    channel            = string
    event_bus_name     = optional(string, "default")
    function_alias_arn = string
  })
  default = null

  validation {
    condition     = var.maintenance == null || can(regex("^arn:[^:]+:lambda:[^:]+:[0-9]{12}:function:[A-Za-z0-9_-]+:[A-Za-z0-9_-]+$", var.maintenance.function_alias_arn))
    error_message = "maintenance.function_alias_arn is \"${try(var.maintenance.function_alias_arn, "")}\": give the ARN of the alias, arn:aws:lambda:REGION:ACCOUNT:function:NAME:ALIAS."
  }

  validation {
    condition     = var.maintenance == null || can(regex("^[A-Za-z0-9._/-]{1,256}$", var.maintenance.event_bus_name))
    error_message = "maintenance.event_bus_name is \"${try(var.maintenance.event_bus_name, "")}\": give the name (not ARN) of an event bus, \"default\" or one of your own."
  }

  validation {
    condition     = var.maintenance == null || can(regex("^[CG][A-Z0-9]{2,}$", var.maintenance.channel))
    error_message = "maintenance.channel is \"${try(var.maintenance.channel, "")}\": give the id of a channel such as \"C0123ABCD\", not its name: Slack finds a channel's messages by its id only."
  }

  validation {
    condition     = var.maintenance == null || try(length(concat(var.maintenance.approvers.users, var.maintenance.approvers.groups)) > 0 && alltrue([for id in var.maintenance.approvers.users : can(regex("^[UW][A-Z0-9]+$", id))]) && alltrue([for id in var.maintenance.approvers.groups : can(regex("^S[A-Z0-9]+$", id))]), false)
    error_message = "maintenance.approvers is ${jsonencode(try(var.maintenance.approvers, {}))}: give at least one Slack user id such as \"U0123ABCD\" in users, or user group id such as \"S0123ABCD\" in groups, not names."
  }
}

variable "memory_size" {
  description = "Memory in MB; CPU comes in proportion, and Slack waits no longer than 3 seconds for an answer."
  type        = number
  default     = 512
  nullable    = false
}

variable "name" {
  description = "Beginning of all names: the function is `<name>-slack-webhook`."
  type        = string
  nullable    = false

  validation {
    condition     = can(regex("^[a-z]([a-z0-9-]{0,38}[a-z0-9])?$", var.name))
    error_message = "name is \"${var.name}\" (${length(var.name)} characters): use 1 to 40 lower-case letters, digits and hyphens, beginning with a letter and not ending with a hyphen; the names made of it must stay below 64."
  }
}

variable "package" {
  description = "A ready-made package in S3 (`s3_bucket`, `s3_key`, `s3_object_version`); null builds it at apply."
  type = object({
    s3_bucket         = string
    s3_key            = string
    s3_object_version = optional(string)
  })
  default = null
}

variable "python" {
  description = "Python (3.9 or newer, with pip or uv) that builds the package on the machine that applies."
  type        = string
  default     = "python3"
  nullable    = false
}

variable "reserved_concurrency" {
  description = "Reserved concurrency; -1 reserves nothing."
  type        = number
  default     = -1
  nullable    = false
}

variable "slack" {
  description = <<-EOT
    Slack:
    - `api_url`: address of the Web API (GovSlack: `https://slack-gov.com/api/`).
    - `app_name`: name of the Slack app in the manifest; null means `Approvals <name>`, or `Maintenance <name>` without approvals.
    - `bot_token_secret_arn`, `signing_secret_secret_arn`: ARNs of the Secrets Manager secrets or SSM parameters that hold them.
    - `kms_key_arns`: KMS keys of the secrets, if they are your own.
  EOT
  type = object({
    api_url                   = optional(string, "https://slack.com/api/")
    app_name                  = optional(string)
    bot_token_secret_arn      = string
    kms_key_arns              = optional(list(string), [])
    signing_secret_secret_arn = string
  })
  nullable = false

  validation {
    condition     = can(regex("^(https://[^/]+|http://127\\.0\\.0\\.1:[0-9]+)/(.*/)?$", var.slack.api_url))
    error_message = "slack.api_url is \"${var.slack.api_url}\": give an https:// address that ends in \"/\", such as https://slack.com/api/ (http:// is taken for 127.0.0.1 only)."
  }

  validation {
    condition     = var.slack.app_name == null || try(length(var.slack.app_name) >= 1 && length(var.slack.app_name) <= 35, false)
    error_message = "slack.app_name is \"${try(coalesce(var.slack.app_name), "")}\": give 1 to 35 characters, Slack's limit."
  }

  # What is no ARN may be the secret itself: neither the message nor Terraform's own note on the condition shows it.
  validation {
    condition     = can(regex("^arn:[^:]+:(secretsmanager:[^:]+:[0-9]{12}:secret:.+-[A-Za-z0-9]{6}|ssm:[^:]+:[0-9]{12}:parameter/.+)$", lookup(var.slack, "bot_token_secret_arn", "")))
    error_message = "slack.bot_token_secret_arn is no such ARN: give the whole ARN of a Secrets Manager secret (with the six characters at its end) or of an SSM parameter, never the token itself."
  }

  validation {
    condition     = can(regex("^arn:[^:]+:(secretsmanager:[^:]+:[0-9]{12}:secret:.+-[A-Za-z0-9]{6}|ssm:[^:]+:[0-9]{12}:parameter/.+)$", lookup(var.slack, "signing_secret_secret_arn", "")))
    error_message = "slack.signing_secret_secret_arn is no such ARN: give the whole ARN of a Secrets Manager secret (with the six characters at its end) or of an SSM parameter, never the secret itself."
  }
}

variable "tags" {
  description = "Tags of everything that takes tags, but for S3 objects."
  type        = map(string)
  default     = {}
  nullable    = false
}

variable "throttling" {
  description = "Requests per second that the API lets through (`rate_limit`), and the burst above them (`burst_limit`)."
  type = object({
    burst_limit = optional(number, 100)
    rate_limit  = optional(number, 50)
  })
  default  = {}
  nullable = false

  validation {
    condition     = var.throttling.burst_limit >= 1 && var.throttling.rate_limit >= 1
    error_message = "throttling is ${jsonencode(var.throttling)}: both limits must be at least 1, or no click gets through."
  }
}
