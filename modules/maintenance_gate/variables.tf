variable "bucket" {
  description = "Bucket (`arn`, `name`, and `kms_key_arn` if its objects have a key) of the package, the flags and the parked tasks. It must not be versioned: delete markers would slow every listing."
  type = object({
    arn         = string
    kms_key_arn = optional(string)
    name        = string
  })
  nullable = false
}

variable "environment" {
  description = "Label that events and notices carry, so that people see what is held, for example \"production\"; null means `name`."
  type        = string
  default     = null
}

variable "event_bus_name" {
  description = "EventBridge bus of this account and region that gets the events `Maintenance Began`, `Maintenance Ended` and `Maintenance Trouble`."
  type        = string
  default     = "default"
  nullable    = false

  validation {
    condition     = can(regex("^[A-Za-z0-9._/-]{1,256}$", var.event_bus_name))
    error_message = "event_bus_name is \"${var.event_bus_name}\": give the name (not ARN) of an event bus, \"default\" or one of your own."
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
  description = "Beginning of all names: the function is `<name>-maintenance`."
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

variable "prefix" {
  description = "Key prefix of everything that the gate keeps in the bucket. Two gates that share a bucket need two prefixes."
  type        = string
  default     = "maintenance"
  nullable    = false

  validation {
    condition     = can(regex("^[A-Za-z0-9][A-Za-z0-9_.-]*(/[A-Za-z0-9][A-Za-z0-9_.-]*)*$", var.prefix)) && !contains(["approval-claims", "functions"], split("/", var.prefix)[0])
    error_message = "prefix is \"${var.prefix}\": use letters, digits, \"_\", \".\" and \"-\", with \"/\" only in between, for example \"maintenance\"; \"~\" is the gate's own, and functions/ and approval-claims/ belong to others."
  }
}

variable "python" {
  description = "Python (3.9 or newer, with pip or uv) that builds the package on the machine that applies."
  type        = string
  default     = "python3"
  nullable    = false
}

variable "reserved_concurrency" {
  description = "Reserved concurrency; -1 reserves nothing. Check-ins, the sweep and drains share it."
  type        = number
  default     = -1
  nullable    = false

  validation {
    condition     = var.reserved_concurrency == -1 || var.reserved_concurrency >= 2
    error_message = "reserved_concurrency is ${var.reserved_concurrency}: give at least 2, because a drain and check-ins run beside each other, or -1 to reserve nothing."
  }
}

variable "resume_rate_per_second" {
  description = "Parked tasks that one drain resumes per second at most, 1 to 500. The account's quota for task answers refills with 300 per second (500 in us-east-1, us-west-2 and eu-west-1), and others need it, too. A high rate needs CPU, which comes with `memory_size`."
  type        = number
  default     = 200
  nullable    = false

  validation {
    condition     = var.resume_rate_per_second >= 1 && var.resume_rate_per_second <= 500 && floor(var.resume_rate_per_second) == var.resume_rate_per_second
    error_message = "resume_rate_per_second is ${var.resume_rate_per_second}: give a whole number from 1 to 500, and stay below the account's quota for SendTaskSuccess."
  }
}

variable "state_machine_names" {
  description = "Names of the state machines of this account and region that the gate may look at and tag; `*` stands for any characters."
  type        = list(string)
  default     = ["*"]
  nullable    = false

  validation {
    condition     = length(var.state_machine_names) > 0 && alltrue([for name in var.state_machine_names : can(regex("^[^\\s<>{}\\[\\]?\"#%\\\\^|~`$&,;:/]{1,80}$", name))])
    error_message = "state_machine_names is ${jsonencode(var.state_machine_names)}: give at least one name (not ARN) or pattern such as \"Order*\"; [\"*\"] means all."
  }
}

variable "tags" {
  description = "Tags of everything that takes tags, but for S3 objects."
  type        = map(string)
  default     = {}
  nullable    = false
}

variable "timeout" {
  description = "Seconds that one invocation may take, 300 to 900: a drain works on until shortly before."
  type        = number
  default     = 300
  nullable    = false

  validation {
    condition     = var.timeout >= 300 && var.timeout <= 900 && floor(var.timeout) == var.timeout
    error_message = "timeout is ${var.timeout}: give 300 to 900 seconds; a drain needs at least five minutes."
  }
}
