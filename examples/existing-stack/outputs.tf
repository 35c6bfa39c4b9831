output "slack_app_manifest" {
  description = "Manifest (JSON) of the Slack app, to paste at api.slack.com/apps."
  value       = module.workflow_gates.slack_app_manifest
}

output "slack_request_url" {
  description = "The interactivity request URL of the Slack app; the manifest has it already."
  value       = module.workflow_gates.slack_request_url
}

output "state_machine_arn" {
  description = "ARN of the state machine; its tag `Maintenance` is the switch."
  value       = aws_sfn_state_machine.order.arn
}
