output "names" {
  description = "The names of the groups, for asg.names of a fleet"
  value       = sort(keys(aws_autoscaling_group.this))
}

output "arns" {
  description = "The ARNs of the groups by their names"
  value       = { for name, group in aws_autoscaling_group.this : name => group.arn }
}
