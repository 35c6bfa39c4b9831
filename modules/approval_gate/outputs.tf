output "alias_arn" {
  description = "ARN of the alias `live`: what callers invoke."
  value       = module.function.alias_arn
}

output "caller_policy_json" {
  description = "Policy document (JSON) for the role of whoever asks: a durable function, a state machine, a script."
  value = jsonencode({
    Version = "2012-10-17"
    Statement = [{
      Sid      = "AskForApproval"
      Effect   = "Allow"
      Action   = "lambda:InvokeFunction"
      Resource = module.function.alias_arn
    }]
  })
}

output "function_arn" {
  description = "Unqualified ARN of the function, as policies and events name it. Invoke `alias_arn`."
  value       = module.function.function_arn
}

output "function_name" {
  description = "Name of the function."
  value       = module.function.function_name
}

output "role_name" {
  description = "Name of the execution role, to attach more to."
  value       = module.function.role_name
}

output "task_state" {
  description = "Step Functions task state (JSONPath) that asks with the request in `$.approval` and puts the decision into `$.approval_decision`; `merge()` it with `Next` or `End`."
  value = {
    Type     = "Task"
    Resource = "arn:${local.partition}:states:::lambda:invoke.waitForTaskToken"
    Parameters = {
      FunctionName = module.function.alias_arn
      # Synchronous invocation is refused where a durable execution may take more than 15 minutes.
      InvocationType = "Event"
      Payload = {
        "request.$"    = "$.approval"
        "task_token.$" = "$$.Task.Token"
      }
    }
    ResultPath = "$.approval_decision"

    # Later than the end of the execution, which answers the task, even if the event had to wait. What remains is
    # an event that was never delivered.
    TimeoutSeconds = var.execution_timeout + local.maximum_event_age + 600

    # Only what surely was not accepted: each try has its own token, so people would be asked twice.
    Retry = [{
      ErrorEquals     = ["Lambda.AWSLambdaException", "Lambda.ServiceException", "Lambda.TooManyRequestsException"]
      IntervalSeconds = 2
      BackoffRate     = 2
      MaxAttempts     = 6
    }]
  }
}
