output "alias_arn" {
  description = "ARN of the alias `live`: what check-ins invoke."
  value       = module.function.alias_arn
}

output "caller_policy_json" {
  description = "Policy document (JSON) for the roles of the state machines that check in."
  value = jsonencode({
    Version = "2012-10-17"
    Statement = [{
      Sid      = "CheckIn"
      Effect   = "Allow"
      Action   = "lambda:InvokeFunction"
      Resource = module.function.alias_arn
    }]
  })
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
  description = "Step Functions task state (JSONPath) that checks in, and waits while there is maintenance; `merge()` it with `Next`. The answer goes to `$.maintenance`."
  value = {
    Type     = "Task"
    Resource = "arn:${local.arn[1]}:states:::lambda:invoke.waitForTaskToken"
    Parameters = {
      FunctionName = module.function.alias_arn
      Payload = {
        "taskToken.$"       = "$$.Task.Token"
        "stateMachineArn.$" = "$$.StateMachine.Id"
      }
    }
    ResultPath     = "$.maintenance"
    TimeoutSeconds = 31536000 # a year: no execution lives longer

    # A check-in is harmless to repeat: a token that was parked before is dead, and is put aside.
    Retry = [{
      ErrorEquals     = ["Lambda.AWSLambdaException", "Lambda.SdkClientException", "Lambda.ServiceException", "Lambda.TooManyRequestsException"]
      IntervalSeconds = 2
      BackoffRate     = 2
      MaxAttempts     = 8
    }]
  }
}
