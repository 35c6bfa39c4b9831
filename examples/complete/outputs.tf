output "approval_function_arn" {
  description = "ARN of the approval function's alias."
  value       = module.workflow_gates.approval_function_arn
}

output "bucket_name" {
  description = "Name of the bucket that the gates use."
  value       = module.workflow_gates.bucket_name
}

output "maintenance_function_arn" {
  description = "ARN of the maintenance function's alias."
  value       = module.workflow_gates.maintenance_function_arn
}

output "slack_app_manifest" {
  description = "Manifest (JSON) of the Slack app, to paste at api.slack.com/apps."
  value       = module.workflow_gates.slack_app_manifest
}

output "slack_request_url" {
  description = "The interactivity request URL of the Slack app; the manifest has it already."
  value       = module.workflow_gates.slack_request_url
}

output "state_machine_arn" {
  description = "ARN of the example's state machine."
  value       = aws_sfn_state_machine.order.arn
}
