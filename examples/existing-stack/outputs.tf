output "slack_request_url" {
  description = "The interactivity request URL to enter in the Slack app."
  value       = module.workflow_gates.slack_request_url
}

output "state_machine_arn" {
  description = "ARN of the state machine; its tag `Maintenance` is the switch."
  value       = aws_sfn_state_machine.order.arn
}
