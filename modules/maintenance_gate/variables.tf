variable "alarm_parked_hours" {
  description = "Hours that a task may be parked before the alarm `parked-too-long`: longer than any maintenance is meant to be. Only with `lambda.alarm_actions`."
  type        = number
  default     = 24
  nullable    = false

  validation {
    condition     = var.alarm_parked_hours > 0 && var.alarm_parked_hours <= 8784
    error_message = "alarm_parked_hours is ${var.alarm_parked_hours}: give hours, more than 0 and at most 8784 (a year: no execution lives longer)."
  }
}

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

variable "windows" {
  description = <<-EOT
    Maintenance windows by name. EventBridge Scheduler begins them; each ends by itself, unless something else keeps the maintenance on.
    - `duration_minutes`: from the scheduled time, however late the begin comes; 1 to 10080 (a week).
    - `reason`: shown in the status, in events and in notices.
    - `schedule`: `at(2030-01-31T22:00:00)`, `cron(0 22 ? * SUN *)` or `rate(7 days)`; a rate begins at once.
    - `state_machine_names`: names, without `*`; all state machines if left out.
    - `timezone`: of `at` and `cron`, such as `Europe/Berlin`. A cron time that the clocks skip in spring is skipped.
  EOT
  type = map(object({
    duration_minutes    = number
    reason              = optional(string)
    schedule            = string
    state_machine_names = optional(list(string))
    timezone            = optional(string, "UTC")
  }))
  default  = {}
  nullable = false

  validation {
    condition     = alltrue([for name in keys(var.windows) : can(regex("^[A-Za-z0-9_-]{1,40}$", name))])
    error_message = "windows has the names ${jsonencode(keys(var.windows))}: use 1 to 40 letters, digits, hyphens and underscores for each."
  }

  validation {
    condition = alltrue([for window in values(var.windows) : anytrue([
      can(regex("^at\\(\\d{4}-\\d{2}-\\d{2}T\\d{2}:\\d{2}:\\d{2}\\)$", window.schedule)),
      can(regex("^rate\\([1-9]\\d* (minute|hour|day)s?\\)$", window.schedule)),
      can(regex("^cron\\([^\\s?]+ [^\\s?]+ (\\? [^\\s?]+ [^\\s?]+|[^\\s?]+ [^\\s?]+ \\?) [^\\s?]+\\)$", window.schedule)),
    ])])
    error_message = "windows has the schedules ${jsonencode({ for name, window in var.windows : name => window.schedule })}: give each as at(2030-01-31T22:00:00), rate(7 days), or cron(0 22 ? * SUN *) with the fields minutes, hours, day of month, month, day of week and year, one of the two days being \"?\"."
  }

  validation {
    condition     = alltrue([for window in values(var.windows) : can(regex("^[A-Za-z0-9_+/-]{1,50}$", window.timezone))])
    error_message = "windows has the time zones ${jsonencode({ for name, window in var.windows : name => window.timezone })}: give names of the IANA time zone database, such as \"Europe/Berlin\"."
  }

  validation {
    condition     = alltrue([for window in values(var.windows) : window.duration_minutes >= 1 && window.duration_minutes <= 10080 && floor(window.duration_minutes) == window.duration_minutes])
    error_message = "windows has the durations ${jsonencode({ for name, window in var.windows : name => window.duration_minutes })}: give whole minutes, 1 to 10080 (a week)."
  }

  validation {
    condition = alltrue([for window in values(var.windows) : try(
      window.duration_minutes < tonumber(regex("\\d+", window.schedule)) * { minute = 1, hour = 60, day = 1440 }[one(regex("^rate\\(\\d+ (minute|hour|day)s?\\)$", window.schedule))],
      true
    )])
    error_message = "windows: a window lasts as long as its rate(...) or longer, so it would never end. Shorten duration_minutes or lengthen the rate."
  }

  # The patterns of state_machine_names as regular expressions: of what a name may hold, only . + ( ) mean something there.
  validation {
    condition = alltrue([for window in values(var.windows) : alltrue([for name in coalesce(window.state_machine_names, []) :
      !strcontains(name, "*") && anytrue([for pattern in var.state_machine_names :
        can(regex("^${replace(replace(pattern, "/[.+()]/", "\\$0"), "*", ".*")}$", name))
      ])
    ])])
    error_message = "windows has the state machines ${jsonencode({ for name, window in var.windows : name => window.state_machine_names })}: give names (no ARNs, no \"*\") that state_machine_names lets the gate hold, or leave them out for all."
  }

  validation {
    condition     = alltrue([for window in values(var.windows) : try(length(window.state_machine_names) > 0, true)])
    error_message = "windows: a window has no state machine: name at least one, or leave state_machine_names out for all."
  }

  validation {
    condition     = alltrue([for window in values(var.windows) : length(coalesce(window.reason, "-")) <= 1000])
    error_message = "windows: a reason is longer than 1000 characters."
  }
}
