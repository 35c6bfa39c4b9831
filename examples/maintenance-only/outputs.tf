output "bucket_name" {
  description = "Name of the bucket that holds the parked tasks."
  value       = module.workflow_gates.bucket_name
}

output "maintenance_function_arn" {
  description = "ARN of the maintenance function's alias."
  value       = module.workflow_gates.maintenance_function_arn
}

output "state_machine_arn" {
  description = "ARN of the state machine; its tag `Maintenance` is the switch."
  value       = aws_sfn_state_machine.order.arn
}
