variable "name" {
  description = "Beginning of all names."
  type        = string
  default     = "orders"
  nullable    = false
}

variable "region" {
  description = "Region of the state machines."
  type        = string
  default     = "us-east-2"
  nullable    = false

  validation {
    condition     = can(regex("^[a-z]{2,}(-[a-z]+)+-[0-9]+$", var.region))
    error_message = "region is \"${var.region}\": give the name of an AWS region, such as \"us-east-2\"."
  }
}

variable "state_machine_names" {
  description = "Names of the state machines that may be held; `*` stands for any characters."
  type        = list(string)
  default     = ["Order*"]
  nullable    = false

  validation {
    condition     = length(var.state_machine_names) > 0
    error_message = "state_machine_names is empty: give at least one name or pattern such as \"Order*\", or [\"*\"] for all."
  }
}
