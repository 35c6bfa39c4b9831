variable "expiration_days" {
  description = "Days after which objects expire, by key prefix, for example `{ \"approval-claims/\" = 38 }`. Everything else is kept."
  type        = map(number)
  default     = {}
  nullable    = false

  validation {
    condition     = alltrue([for prefix in keys(var.expiration_days) : endswith(prefix, "/") && !startswith(prefix, "functions/")])
    error_message = "expiration_days has the prefixes ${jsonencode(keys(var.expiration_days))}: each must end in \"/\" and none may lie under functions/, because an expired package cannot be deployed again."
  }

  validation {
    condition     = alltrue([for days in values(var.expiration_days) : days >= 1 && floor(days) == days])
    error_message = "expiration_days is ${jsonencode(var.expiration_days)}: give whole days, at least 1."
  }
}

variable "force_destroy" {
  description = "Whether `terraform destroy` may delete the bucket with what is in it: parked tasks (their executions then wait until they time out), maintenance flags and approval claims are lost."
  type        = bool
  default     = false
  nullable    = false
}

variable "kms_key_arn" {
  description = "KMS key that encrypts the objects; null means SSE-S3 (AES256)."
  type        = string
  default     = null
}

variable "name" {
  description = "Name of the bucket; null lets the provider append something unique to `name_prefix`."
  type        = string
  default     = null

  validation {
    condition     = var.name == null || can(regex("^[a-z0-9][a-z0-9-]{1,61}[a-z0-9]$", var.name))
    error_message = "name is \"${coalesce(var.name, "null")}\": a bucket name here has 3 to 63 lower-case letters, digits and hyphens, and neither begins nor ends with a hyphen."
  }
}

variable "name_prefix" {
  description = "Beginning of the bucket's name where `name` is null."
  type        = string
  default     = "workflow-gates-"
  nullable    = false

  validation {
    condition     = can(regex("^[a-z0-9][a-z0-9-]{0,36}$", var.name_prefix))
    error_message = "name_prefix is \"${var.name_prefix}\": give 1 to 37 lower-case letters, digits and hyphens (the provider appends 26 characters, a bucket name has 63)."
  }
}

variable "tags" {
  description = "Tags of the bucket."
  type        = map(string)
  default     = {}
  nullable    = false
}
