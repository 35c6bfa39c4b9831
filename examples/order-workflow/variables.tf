variable "approval_timeout" {
  description = "Seconds that people have to decide about an order."
  type        = number
  default     = 86400
  nullable    = false

  validation {
    condition     = var.approval_timeout >= 60 && var.approval_timeout <= 31536000 && floor(var.approval_timeout) == var.approval_timeout
    error_message = "approval_timeout is ${var.approval_timeout}: give 60 to 31536000 seconds (a year)."
  }
}

variable "approvers" {
  description = "Slack user ids of those who may decide."
  type        = list(string)
  nullable    = false

  validation {
    condition     = length(var.approvers) > 0
    error_message = "approvers is empty: name at least one Slack user id such as \"U0123ABCD\", because the requests of this example name nobody."
  }
}

variable "bucket_arn" {
  description = "ARN of a bucket of your own for the function packages; null makes one."
  type        = string
  default     = null
}

variable "environment" {
  description = "Label that approval messages show."
  type        = string
  default     = "example"
}

variable "name" {
  description = "Beginning of all names."
  type        = string
  default     = "shop"
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

variable "results_channel" {
  description = "Id or `#name` of the Slack channel that is told what became of an order; null means `slack.channel`."
  type        = string
  default     = null

  validation {
    condition     = var.results_channel == null || can(regex("^([CGD][A-Z0-9]{2,}|#\\S{1,80})$", var.results_channel))
    error_message = "results_channel is \"${coalesce(var.results_channel, " ")}\": give a channel id such as \"C0123ABCD\" or a name such as \"#approval-results\"."
  }
}

variable "slack" {
  description = "ARNs of the Secrets Manager secrets that hold the bot token and the signing secret, the channel to ask in, and the API's address. The module checks them."
  type = object({
    api_url                   = optional(string, "https://slack.com/api/")
    bot_token_secret_arn      = string
    channel                   = string
    signing_secret_secret_arn = string
  })
  nullable = false

  # What is no ARN may be the secret itself: the message does not show it.
  validation {
    condition     = strcontains(lookup(var.slack, "bot_token_secret_arn", ""), ":secretsmanager:")
    error_message = "slack.bot_token_secret_arn is no ARN of a Secrets Manager secret: the order workflow of this example reads the token from there."
  }
}
