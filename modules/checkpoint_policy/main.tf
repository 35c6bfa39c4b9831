locals {
  # Checkpoints are authorised against the ARN of the execution, function:NAME:VERSION/durable-execution/...:
  # the unqualified function ARN never matches, and an alias never appears in it.
  document = {
    Version = "2012-10-17"
    Statement = [{
      Sid      = "Checkpoint"
      Effect   = "Allow"
      Action   = ["lambda:CheckpointDurableExecution", "lambda:GetDurableExecutionState"]
      Resource = "${var.function_arn}:*"
    }]
  }
}
