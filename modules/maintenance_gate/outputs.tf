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
  value = merge(local.task_state, {
    Parameters = {
      FunctionName = module.function.alias_arn
      Payload = {
        "executionArn.$"    = "$$.Execution.Id"
        "stateMachineArn.$" = "$$.StateMachine.Id"
        "stateName.$"       = "$$.State.Name"
        "taskToken.$"       = "$$.Task.Token"
        timeoutSeconds      = local.task_state.TimeoutSeconds
      }
    }
    ResultPath = "$.maintenance"
  })
}

output "task_state_jsonata" {
  description = "The same for JSONata; the state's input, whatever it is, is its output."
  value = merge(local.task_state, {
    Arguments = {
      FunctionName = module.function.alias_arn
      Payload = {
        executionArn    = "{% $states.context.Execution.Id %}"
        stateMachineArn = "{% $states.context.StateMachine.Id %}"
        stateName       = "{% $states.context.State.Name %}"
        taskToken       = "{% $states.context.Task.Token %}"
        timeoutSeconds  = local.task_state.TimeoutSeconds
      }
    }
    Output        = "{% $states.input %}"
    QueryLanguage = "JSONata"
  })
}
