variable "approvers" {
  description = "Slack user ids of those who may decide."
  type        = list(string)
  nullable    = false

  validation {
    condition     = length(var.approvers) > 0
    error_message = "approvers is empty: name at least one Slack user id such as \"U0123ABCD\", because the requests of this example name nobody."
  }
}

variable "channel" {
  description = "Id or `#name` of the Slack channel to ask in."
  type        = string
  nullable    = false

  validation {
    condition     = can(regex("^([CGD][A-Z0-9]{2,}|#\\S{1,80})$", var.channel))
    error_message = "channel is \"${var.channel}\": give a channel id such as \"C0123ABCD\" or a name such as \"#approvals\"."
  }
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
