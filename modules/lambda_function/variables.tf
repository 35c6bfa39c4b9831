variable "bucket" {
  description = "Bucket (`arn`, `name`) that holds the function's package below `functions/<name>/`. Not needed where `package` is set."
  type = object({
    arn  = string
    name = string
  })
  default = null

  validation {
    condition     = var.bucket != null || var.package != null
    error_message = "bucket is null: name the bucket that the package is built into, or pass a ready-made one in `package`."
  }
}

variable "code" {
  description = <<-EOT
    What the package is built from:
    - `folders`: Python packages below `root` that go into the zip, the function's own first.
    - `handler`: entry point; `<first folder>.handler.handler` unless set.
    - `requirements`: pip requirements with hashes, relative to `root`; `<first folder>/requirements.txt` unless set.
    - `root`: folder that all paths are relative to, inside the zip too.
    - `services`: what boto3 makes clients for, by the names of botocore's folders; data of all other services is left out. A durable function's `lambda` is always there.
  EOT
  type = object({
    folders      = list(string)
    handler      = optional(string)
    requirements = optional(string)
    root         = string
    services     = optional(list(string), [])
  })
  nullable = false

  validation {
    condition     = length(var.code.folders) > 0 && alltrue([for folder in var.code.folders : can(regex("^[A-Za-z_][A-Za-z0-9_]*(/[A-Za-z_][A-Za-z0-9_]*)*$", folder))])
    error_message = "code.folders is ${jsonencode(var.code.folders)}: name at least one folder below code.root, each a name that Python can import, such as \"order_workflow\"."
  }

  validation {
    condition     = alltrue([for folder in var.code.folders : length(fileset("${var.code.root}/${folder}", "**/[A-Za-z_]*.py")) > 0])
    error_message = "code.folders is ${jsonencode(var.code.folders)}: below code.root (\"${var.code.root}\") there is no Python file in ${join(", ", [for folder in var.code.folders : folder if length(fileset("${var.code.root}/${folder}", "**/[A-Za-z_]*.py")) == 0])}."
  }

  validation {
    condition     = var.code.handler == null || can(regex("^[A-Za-z_][A-Za-z0-9_]*(\\.[A-Za-z_][A-Za-z0-9_]*)+$", var.code.handler))
    error_message = "code.handler is \"${try(coalesce(var.code.handler), "")}\": give the dotted name of a function, such as \"order_workflow.handler.handler\"."
  }

  validation {
    condition     = length(var.code.folders) == 0 || try(fileexists("${var.code.root}/${coalesce(var.code.requirements, "${var.code.folders[0]}/requirements.txt")}"), false)
    error_message = "code.requirements: there is no file \"${var.code.root}/${try(coalesce(var.code.requirements, "${var.code.folders[0]}/requirements.txt"), "")}\". Pin the function's dependencies with hashes there (`uv pip compile --generate-hashes`), or name the file."
  }
}

variable "description" {
  description = "Description of the function."
  type        = string
  default     = null
}

variable "durable_config" {
  description = "Makes the function durable: `execution_timeout` in seconds, `retention_period` in days. Adding or removing it replaces the function and stops its running executions; its values change in place."
  type = object({
    execution_timeout = number
    retention_period  = optional(number, 14)
  })
  default = null

  validation {
    condition = var.durable_config == null || try(
      var.durable_config.execution_timeout >= 1 && var.durable_config.execution_timeout <= 31622400 &&
      var.durable_config.retention_period >= 1 && var.durable_config.retention_period <= 90, false
    )
    error_message = "durable_config is ${jsonencode(var.durable_config)}: execution_timeout must be 1 to 31622400 seconds (366 days) and retention_period 1 to 90 days."
  }
}

variable "environment_variables" {
  description = "Environment variables of the function. No secrets: they are readable by whoever may read the function's configuration."
  type        = map(string)
  default     = {}
  nullable    = false
}

variable "event_invoke" {
  description = "Asynchronous invocations through the alias: how often Lambda retries one that failed (`maximum_retries`), and for how many seconds an event may wait (`maximum_event_age`)."
  type = object({
    maximum_event_age = optional(number, 21600)
    maximum_retries   = optional(number, 2)
  })
  default  = {}
  nullable = false

  validation {
    condition     = contains([0, 1, 2], var.event_invoke.maximum_retries) && var.event_invoke.maximum_event_age >= 60 && var.event_invoke.maximum_event_age <= 21600
    error_message = "event_invoke is ${jsonencode(var.event_invoke)}: maximum_retries must be 0, 1 or 2 and maximum_event_age 60 to 21600 seconds."
  }
}

variable "invokers" {
  description = "Who may invoke the alias, by statement id: a service (`principal`) and the ARN of the rule, route or the like that it does so for (`source_arn`)."
  type = map(object({
    principal  = string
    source_arn = string
  }))
  default  = {}
  nullable = false
}

variable "lambda" {
  description = <<-EOT
    What all functions of a stack have in common:
    - `alarm_actions`: ARNs that the alarms on errors and throttles notify; null makes no alarms.
    - `environment_kms_key_arn`: KMS key of the environment variables.
    - `failed_events`: SQS queue or SNS topic for asynchronous events that failed for good.
    - `permissions_boundary_arn`, `role_path`: of the execution role.
    - `runtime`: Python of the function.
    - `tracing`: X-Ray active tracing.
    - `vpc`: subnets and security groups; they need a way to the AWS APIs and, for the approval gate, to Slack.
  EOT
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

  validation {
    condition     = var.lambda.failed_events == null || can(regex("^arn:[^:]+:(sqs|sns):[^:]+:[0-9]{12}:[A-Za-z0-9_-]+$", var.lambda.failed_events.arn))
    error_message = "lambda.failed_events.arn is \"${try(var.lambda.failed_events.arn, "")}\": give the ARN of an SQS queue or an SNS topic, arn:aws:sqs:... or arn:aws:sns:..., that is not FIFO (Lambda takes none)."
  }

  validation {
    condition     = can(regex("^/([A-Za-z0-9_+=,.@-]+/)*$", var.lambda.role_path))
    error_message = "lambda.role_path is \"${var.lambda.role_path}\": it must begin and end with \"/\", for example \"/workflow-gates/\"."
  }

  validation {
    condition     = contains(["python3.13", "python3.14"], var.lambda.runtime)
    error_message = "lambda.runtime is \"${var.lambda.runtime}\": the functions are made for python3.13 or python3.14."
  }

  validation {
    condition     = var.lambda.vpc == null || try(length(var.lambda.vpc.subnet_ids) > 0 && length(var.lambda.vpc.security_group_ids) > 0, false)
    error_message = "lambda.vpc has no subnet or no security group: give at least one of each, or leave vpc out."
  }
}

variable "logs" {
  description = "The log group: `retention_in_days`, `kms_key_arn` (the key's policy must let CloudWatch Logs use it) and `level`, the least that the function logs (`DEBUG`, `INFO`, `WARN`, `ERROR`)."
  type = object({
    kms_key_arn       = optional(string)
    level             = optional(string, "INFO")
    retention_in_days = optional(number, 30)
  })
  default  = {}
  nullable = false

  validation {
    condition     = contains(["DEBUG", "INFO", "WARN", "ERROR"], var.logs.level)
    error_message = "logs.level is \"${var.logs.level}\": use DEBUG, INFO, WARN or ERROR (above that, failures would not be seen)."
  }

  validation {
    condition = contains(
      [1, 3, 5, 7, 14, 30, 60, 90, 120, 150, 180, 365, 400, 545, 731, 1096, 1827, 2192, 2557, 2922, 3288, 3653], var.logs.retention_in_days
    )
    error_message = "logs.retention_in_days is ${var.logs.retention_in_days}: CloudWatch Logs knows 1, 3, 5, 7, 14, 30, 60, 90, 120, 150, 180, 365, 400, 545, 731, 1096, 1827, 2192, 2557, 2922, 3288 and 3653 (logs without an end are not offered)."
  }
}

variable "memory_size" {
  description = "Memory in MB; CPU comes in proportion."
  type        = number
  default     = 512
  nullable    = false

  validation {
    condition     = var.memory_size >= 128 && var.memory_size <= 10240 && floor(var.memory_size) == var.memory_size
    error_message = "memory_size is ${var.memory_size}: Lambda takes 128 to 10240 MB."
  }
}

variable "name" {
  description = "Name of the function, its role and (below `/aws/lambda/`) its log group."
  type        = string
  nullable    = false

  validation {
    condition     = can(regex("^[A-Za-z0-9_-]{1,64}$", var.name))
    error_message = "name is \"${var.name}\" (${length(var.name)} characters): use 1 to 64 letters, digits, hyphens and underscores, the limit of Lambda and IAM."
  }
}

variable "package" {
  description = "A ready-made package in S3 (`s3_bucket`, `s3_key`, `s3_object_version`; `make packages` builds them), for machines that apply without Python. null builds it at apply."
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

  validation {
    condition     = var.reserved_concurrency >= -1 && floor(var.reserved_concurrency) == var.reserved_concurrency
    error_message = "reserved_concurrency is ${var.reserved_concurrency}: give a whole number, or -1 to reserve nothing."
  }
}

variable "statements" {
  description = "What the function may do besides logging (and checkpoints, if it is durable), by statement id: `actions`, `resources`, and if need be `conditions` and `effect`."
  type = map(object({
    actions    = list(string)
    conditions = optional(map(map(list(string))))
    effect     = optional(string, "Allow")
    resources  = list(string)
  }))
  default  = {}
  nullable = false
}

variable "tags" {
  description = "Tags of everything that takes tags, but for S3 objects."
  type        = map(string)
  default     = {}
  nullable    = false
}

variable "timeout" {
  description = "Seconds that one invocation may take."
  type        = number
  default     = 60
  nullable    = false

  validation {
    condition     = var.timeout >= 1 && var.timeout <= 900 && floor(var.timeout) == var.timeout
    error_message = "timeout is ${var.timeout}: Lambda takes 1 to 900 seconds."
  }
}
