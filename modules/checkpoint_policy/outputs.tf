output "json" {
  description = "Policy document (JSON) for the durable function's role."
  value       = jsonencode(local.document)
}
