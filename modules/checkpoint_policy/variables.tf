variable "function_arn" {
  description = "Unqualified ARN of the durable function, without version or alias: `arn:aws:lambda:REGION:ACCOUNT:function:NAME`."
  type        = string
  nullable    = false

  validation {
    condition     = can(regex("^arn:[^:]+:lambda:[^:]+:[0-9]{12}:function:[A-Za-z0-9_-]+$", var.function_arn))
    error_message = "function_arn is \"${var.function_arn}\": give the unqualified ARN arn:aws:lambda:REGION:ACCOUNT:function:NAME, without version or alias (the policy adds \":*\")."
  }
}
