variable "groups" {
  description = "The groups by their names"
  type = map(object({
    component               = string
    fleet                   = optional(string) # the value of the tag jitsi-fleet; default: the component
    min                     = number
    max                     = number
    launch_template_id      = string
    launch_template_version = string # a number: a refresh starts when it changes, which $Latest never does
    subnets                 = optional(list(string))
  }))

  validation {
    condition     = alltrue([for group in values(var.groups) : contains(["jvb", "jibri"], group.component)])
    error_message = "The component of a group must be jvb or jibri."
  }

  validation {
    condition     = alltrue([for group in values(var.groups) : can(regex("^[0-9]+$", group.launch_template_version))])
    error_message = "Write the number of a launch template's version: $Latest and $Default start no refresh."
  }
}

variable "subnets" {
  description = "IDs of the subnets of groups that name none"
  type        = list(string)
  default     = []
}

variable "heartbeat_timeout" {
  description = "How long the scaler may be away while an instance waits for its drain, in seconds"
  type        = number
  default     = 3600
}

variable "tags" {
  description = "Further tags of all groups"
  type        = map(object({ value = string, propagate = bool }))
  default     = {}
}
