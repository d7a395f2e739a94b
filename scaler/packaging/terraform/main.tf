# Groups for jitsi-scaler, as ../aws/groups.yml makes them with CloudFormation: a terminating hook, protection from scale-in,
# and AZRebalance suspended. README.md says what the provider must be told.

terraform {
  required_version = ">= 1.5"
  required_providers {
    aws = {
      source  = "hashicorp/aws"
      version = ">= 5.0"
    }
  }
}

locals {
  # What Prometheus discovers instances by, and what the scaler selects groups by. The IAM policy allows writes only with
  # jitsi-scaler-managed.
  tags = {
    for name, group in var.groups : name => merge(var.tags, {
      Name            = { value = name, propagate = true }
      jitsi-component = { value = group.component, propagate = true }
      jitsi-fleet     = { value = coalesce(group.fleet, group.component), propagate = false }

      jitsi-scaler-managed = { value = "true", propagate = false }
    })
  }
}

resource "aws_autoscaling_group" "this" {
  for_each = var.groups

  name                = each.key
  min_size            = each.value.min
  max_size            = each.value.max
  vpc_zone_identifier = coalesce(each.value.subnets, var.subnets)
  health_check_type   = "EC2"

  # Only the scaler, which terminates by instance ID, scales in. AZRebalance would terminate instances that nobody drained.
  protect_from_scale_in = true
  suspended_processes   = ["AZRebalance"]

  # Terraform need not wait for instances, which the scaler may replace meanwhile.
  wait_for_capacity_timeout = "0"

  launch_template {
    id      = each.value.launch_template_id
    version = each.value.launch_template_version
  }

  # Other terminations, such as those of a refresh, wait until the instance is drained; the scaler sends the heartbeats. The
  # scaler may be away for this time; a drain may take a hundred times as long, 48 hours at most. The hook is part of the
  # group, so that no instance is ever without it.
  initial_lifecycle_hook {
    name                 = "drain"
    lifecycle_transition = "autoscaling:EC2_INSTANCE_TERMINATING"
    heartbeat_timeout    = var.heartbeat_timeout
    default_result       = "CONTINUE"
  }

  # A new version of the launch template replaces the instances. Without Refresh, it would wait an hour for instances that are
  # protected from scale-in, and then fail.
  instance_refresh {
    strategy = "Rolling"
    preferences {
      min_healthy_percentage       = 100
      max_healthy_percentage       = 110
      scale_in_protected_instances = "Refresh"
    }
  }

  dynamic "tag" {
    for_each = local.tags[each.key]
    content {
      key                 = tag.key
      value               = tag.value.value
      propagate_at_launch = tag.value.propagate
    }
  }

  lifecycle {
    # The scaler owns the capacity.
    ignore_changes = [desired_capacity]
  }
}
