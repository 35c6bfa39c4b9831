variable "approval_timeout" {
  description = "Seconds until a request that sets no `timeout_seconds` times out."
  type        = number
  default     = 3600
  nullable    = false

  validation {
    condition     = var.approval_timeout >= 1 && var.approval_timeout <= var.execution_timeout - 120
    error_message = "approval_timeout is ${var.approval_timeout}: it must be 1 to ${var.execution_timeout - 120} seconds, that is execution_timeout (${var.execution_timeout}) less 120. Lower it or raise execution_timeout."
  }
}

variable "approvers" {
  description = "Slack user ids of those who may decide, and end a maintenance by the button on its message."
  type        = list(string)
  nullable    = false

  validation {
    condition     = length(var.approvers) > 0
    error_message = "approvers is empty: name at least one Slack user id such as \"U0123ABCD\", because the requests of this example name nobody."
  }
}

variable "environment" {
  description = "Label that messages show."
  type        = string
  default     = "example"
}

variable "execution_timeout" {
  description = "Seconds after which AWS ends an approval's durable execution."
  type        = number
  default     = 2678400
  nullable    = false
}

variable "force_destroy" {
  description = "Whether `terraform destroy` may delete the bucket with parked tasks in it."
  type        = bool
  default     = false
  nullable    = false
}

variable "maintenance_channel" {
  description = "Id of the channel that is told of maintenance; null means the channel to ask in."
  type        = string
  default     = null
}

variable "maintenance_windows" {
  description = "Maintenance windows by name, as the module's `maintenance_gate.windows`."
  type = map(object({
    duration_minutes    = number
    reason              = optional(string)
    schedule            = string
    state_machine_names = optional(list(string))
    timezone            = optional(string, "UTC")
  }))
  default  = {}
  nullable = false
}

variable "name" {
  description = "Beginning of all names."
  type        = string
  default     = "orders"
  nullable    = false
}

variable "region" {
  description = "Region to deploy to; Lambda durable functions must be available there."
  type        = string
  default     = "us-east-2"
  nullable    = false

  validation {
    condition     = can(regex("^[a-z]{2,}(-[a-z]+)+-[0-9]+$", var.region))
    error_message = "region is \"${var.region}\": give the name of an AWS region, such as \"us-east-2\"."
  }
}

variable "slack" {
  description = "ARNs of the secrets that hold the bot token and the signing secret, the channel to ask in, and the API's address. The module checks them."
  type = object({
    api_url                   = optional(string)
    bot_token_secret_arn      = string
    channel                   = string
    signing_secret_secret_arn = string
  })
  nullable = false
}

variable "state_machine_name" {
  description = "Name of the example's state machine."
  type        = string
  default     = "Order"
  nullable    = false

  validation {
    condition     = can(regex("^[A-Za-z0-9_-]{1,80}$", var.state_machine_name))
    error_message = "state_machine_name is \"${var.state_machine_name}\": use 1 to 80 letters, digits, hyphens and underscores."
  }
}
