variable "approvers" {
  description = "Slack user ids of those who may decide where a request names nobody."
  type        = list(string)
  default     = []
  nullable    = false

  validation {
    condition     = alltrue([for id in var.approvers : can(regex("^[UW][A-Z0-9]+$", id))])
    error_message = "approvers is ${jsonencode(var.approvers)}: give Slack user ids such as \"U0123ABCD\" (profile, \"Copy member ID\"), not names or e-mail addresses."
  }
}

variable "bucket" {
  description = "Bucket (`arn`, `name`, and `kms_key_arn` if its objects have a key) for the package and for the claims that keep one task token from being asked about twice."
  type = object({
    arn         = string
    kms_key_arn = optional(string)
    name        = string
  })
  nullable = false
}

variable "default_timeout" {
  description = "Seconds until a request that sets no `timeout_seconds` times out; null means a day, or `execution_timeout` - 120 where that is less."
  type        = number
  default     = null

  validation {
    condition     = var.default_timeout == null || try(var.default_timeout >= 1 && var.default_timeout <= var.execution_timeout - 120, false)
    error_message = "default_timeout is ${coalesce(var.default_timeout, 0)}: it must be 1 to ${var.execution_timeout - 120} seconds, that is execution_timeout (${var.execution_timeout}) less 120 for the last messages. Lower it or raise execution_timeout."
  }
}

variable "environment" {
  description = "Label that messages show, so that people see what they decide about, for example \"production\"; null means `name`."
  type        = string
  default     = null
}

variable "event_bus_name" {
  description = "EventBridge bus of this account and region that gets the events `Approval Requested` and `Approval Decided`."
  type        = string
  default     = "default"
  nullable    = false

  validation {
    condition     = can(regex("^[A-Za-z0-9._/-]{1,256}$", var.event_bus_name))
    error_message = "event_bus_name is \"${var.event_bus_name}\": give the name (not ARN) of an event bus, \"default\" or one of your own."
  }
}

variable "execution_timeout" {
  description = "Seconds after which AWS ends a durable execution, whatever it waits for: the upper limit of every request's timeout, plus 120. The default is 31 days."
  type        = number
  default     = 2678400
  nullable    = false

  validation {
    condition     = var.execution_timeout >= 180 && var.execution_timeout <= 31622400 && floor(var.execution_timeout) == var.execution_timeout
    error_message = "execution_timeout is ${var.execution_timeout}: give 180 to 31622400 seconds (366 days)."
  }
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

variable "memory_size" {
  description = "Memory in MB."
  type        = number
  default     = 512
  nullable    = false
}

variable "name" {
  description = "Beginning of all names: the function is `<name>-approval`."
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
  description = "Reserved concurrency; -1 reserves nothing. Waiting requests use none."
  type        = number
  default     = -1
  nullable    = false
}

variable "retention_period" {
  description = "Days that AWS keeps the history of an ended execution, 1 to 90."
  type        = number
  default     = 14
  nullable    = false

  validation {
    condition     = var.retention_period >= 1 && var.retention_period <= 90 && floor(var.retention_period) == var.retention_period
    error_message = "retention_period is ${var.retention_period}: give 1 to 90 days."
  }
}

variable "slack" {
  description = <<-EOT
    Slack:
    - `api_url`: address of the Web API (GovSlack: `https://slack-gov.com/api/`).
    - `bot_token_secret_arn`: ARN of the Secrets Manager secret or SSM parameter that holds the bot token.
    - `channel`: id or `#name` of the channel to ask in where a request names none.
    - `kms_key_arns`: KMS keys of the secret, if they are your own.
  EOT
  type = object({
    api_url              = optional(string, "https://slack.com/api/")
    bot_token_secret_arn = string
    channel              = string
    kms_key_arns         = optional(list(string), [])
  })
  nullable = false

  validation {
    condition     = can(regex("^(https://[^/]+|http://127\\.0\\.0\\.1:[0-9]+)/(.*/)?$", var.slack.api_url))
    error_message = "slack.api_url is \"${var.slack.api_url}\": give an https:// address that ends in \"/\", such as https://slack.com/api/ (http:// is taken for 127.0.0.1 only)."
  }

  # What is no ARN may be the secret itself: neither the message nor Terraform's own note on the condition shows it.
  validation {
    condition     = can(regex("^arn:[^:]+:(secretsmanager:[^:]+:[0-9]{12}:secret:.+-[A-Za-z0-9]{6}|ssm:[^:]+:[0-9]{12}:parameter/.+)$", lookup(var.slack, "bot_token_secret_arn", "")))
    error_message = "slack.bot_token_secret_arn is no such ARN: give the whole ARN of a Secrets Manager secret (with the six characters at its end) or of an SSM parameter, never the token itself."
  }

  validation {
    condition     = can(regex("^([CGD][A-Z0-9]{2,}|#\\S{1,80})$", var.slack.channel))
    error_message = "slack.channel is \"${var.slack.channel}\": give a channel id such as \"C0123ABCD\" (best: it survives a rename) or a name such as \"#approvals\"."
  }
}

variable "tags" {
  description = "Tags of everything that takes tags, but for S3 objects."
  type        = map(string)
  default     = {}
  nullable    = false
}
