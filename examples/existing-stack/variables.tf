variable "approvers" {
  description = "Slack user ids of those who may decide."
  type        = list(string)
  nullable    = false

  validation {
    condition     = length(var.approvers) > 0
    error_message = "approvers is empty: name at least one Slack user id such as \"U0123ABCD\", because the requests of this example name nobody."
  }
}

variable "deploy_package" {
  description = "The package of the stack's own function in S3."
  type = object({
    s3_bucket = string
    s3_key    = string
  })
  nullable = false
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
  description = "ARNs of the secrets that hold the bot token and the signing secret and the channel to ask in. The module checks them."
  type = object({
    bot_token_secret_arn      = string
    channel                   = string
    signing_secret_secret_arn = string
  })
  nullable = false
}
