output "approval_caller_policy_json" {
  description = "Policy document (JSON) for the role of whoever asks for approvals: a durable function, a state machine, a script."
  value       = one(module.approval_gate[*].caller_policy_json)
}

output "approval_function_arn" {
  description = "ARN of the approval function's alias `live`: what callers invoke."
  value       = one(module.approval_gate[*].alias_arn)

  # Whoever asks can be answered.
  depends_on = [module.slack_webhook]
}

output "approval_function_name" {
  description = "Name of the approval function."
  value       = one(module.approval_gate[*].function_name)
}

output "approval_task_state" {
  description = "Step Functions task state (JSONPath) that asks with the request in `$.approval` and puts the decision into `$.approval_decision`; `merge()` it with `Next` or `End`."
  value       = one(module.approval_gate[*].task_state)

  depends_on = [module.slack_webhook]
}

output "bucket_arn" {
  description = "ARN of the bucket that the gates use; with `bucket_name` it can hold the packages of your own functions, too (`modules/lambda_function`)."
  value       = var.approval_gate == null && var.maintenance_gate == null ? null : local.bucket.arn
}

output "bucket_name" {
  description = "Name of the bucket that the gates use."
  value       = var.approval_gate == null && var.maintenance_gate == null ? null : local.bucket.name
}

output "maintenance_caller_policy_json" {
  description = "Policy document (JSON) for the roles of the state machines that check in."
  value       = one(module.maintenance_gate[*].caller_policy_json)
}

output "maintenance_function_arn" {
  description = "ARN of the maintenance function's alias `live`: what check-ins invoke."
  value       = one(module.maintenance_gate[*].alias_arn)
}

output "maintenance_function_name" {
  description = "Name of the maintenance function."
  value       = one(module.maintenance_gate[*].function_name)
}

output "maintenance_task_state" {
  description = "Step Functions task state (JSONPath) that checks in, and waits while there is maintenance; `merge()` it with `Next`. The answer goes to `$.maintenance`."
  value       = one(module.maintenance_gate[*].task_state)
}

output "maintenance_task_state_jsonata" {
  description = "The same for JSONata; the state's input, whatever it is, is its output."
  value       = one(module.maintenance_gate[*].task_state_jsonata)
}

output "role_names" {
  description = "Names of the execution roles by function, to attach more to."
  value = {
    for function, name in {
      approval      = one(module.approval_gate[*].role_name)
      maintenance   = one(module.maintenance_gate[*].role_name)
      slack_webhook = one(module.slack_webhook[*].role_name)
    } : function => name if name != null
  }
}

output "slack_app_manifest" {
  description = "Manifest (JSON) of the Slack app, to paste at api.slack.com/apps once this is applied: `terraform output -raw slack_app_manifest`."
  value       = one(module.slack_webhook[*].slack_app_manifest)
}

output "slack_request_url" {
  description = "The interactivity request URL to enter in the Slack app."
  value       = one(module.slack_webhook[*].request_url)
}

output "slack_webhook_function_name" {
  description = "Name of the function that receives the clicks and gives the notices of maintenance."
  value       = one(module.slack_webhook[*].function_name)
}
