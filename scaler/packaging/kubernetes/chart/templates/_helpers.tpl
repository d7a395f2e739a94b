{{/* A name of our own for each release; the release's name alone if that says jitsi-scaler already. */}}
{{- define "jitsi-scaler.fullname" -}}
{{- if .Values.fullnameOverride }}{{ .Values.fullnameOverride | trunc 50 | trimSuffix "-" }}
{{- else if contains .Chart.Name .Release.Name }}{{ .Release.Name | trunc 50 | trimSuffix "-" }}
{{- else }}{{ printf "%s-%s" .Release.Name .Chart.Name | trunc 50 | trimSuffix "-" }}
{{- end }}
{{- end }}

{{- define "jitsi-scaler.selector" -}}
app.kubernetes.io/name: jitsi-scaler
app.kubernetes.io/instance: {{ .Release.Name }}
{{- end }}

{{- define "jitsi-scaler.labels" -}}
{{ include "jitsi-scaler.selector" . }}
app.kubernetes.io/version: {{ .Chart.AppVersion | quote }}
app.kubernetes.io/part-of: jitsi
app.kubernetes.io/managed-by: {{ .Release.Service }}
helm.sh/chart: {{ printf "%s-%s" .Chart.Name .Chart.Version | replace "+" "_" }}
{{- end }}

{{/* Of objects that Prometheus' operator selects by label. */}}
{{- define "jitsi-scaler.monitoringLabels" -}}
{{ include "jitsi-scaler.labels" . }}
{{- with .Values.monitoring.labels }}
{{ toYaml . }}
{{- end }}
{{- end }}

{{- define "jitsi-scaler.serviceAccountName" -}}
{{- if .Values.serviceAccount.create }}{{ .Values.serviceAccount.name | default (include "jitsi-scaler.fullname" .) }}
{{- else }}{{ .Values.serviceAccount.name | default "default" }}
{{- end }}
{{- end }}

{{- define "jitsi-scaler.image" -}}
{{- with .Values.image }}
{{- if .digest }}{{ printf "%s@%s" .repository .digest }}
{{- else }}{{ printf "%s:%s" .repository (.tag | default $.Chart.AppVersion) }}
{{- end }}
{{- end }}
{{- end }}

{{- define "jitsi-scaler.config" -}}
{{- if not .Values.config }}
{{- .Files.Get "files/scaler.yml" | required "this copy of the chart lacks files/scaler.yml: get the whole chart, or set config" }}
{{- else if kindIs "string" .Values.config }}{{ .Values.config }}
{{- else }}{{ toYaml .Values.config }}
{{- end }}
{{- end }}

{{/* The files of the pods of the Deployment and of the test: the configuration, and what it names. */}}
{{- define "jitsi-scaler.volumeMounts" -}}
- {name: config, mountPath: /etc/jitsi-scaler/scaler.yml, subPath: scaler.yml, readOnly: true}
{{- if .Values.webSecret }}
- {name: web, mountPath: /etc/jitsi-scaler/web, readOnly: true}
{{- end }}
{{- range .Values.secrets }}
- {name: {{ printf "secret-%s" . }}, mountPath: {{ printf "/etc/jitsi-scaler/secrets/%s" . }}, readOnly: true}
{{- end }}
{{- with .Values.volumeMounts }}
{{- toYaml . | nindent 0 }}
{{- end }}
{{- end }}

{{- define "jitsi-scaler.volumes" -}}
- name: config
  configMap: {name: {{ include "jitsi-scaler.fullname" . }}}
{{- with .Values.webSecret }}
- name: web
  secret: {secretName: {{ . }}, defaultMode: 0440}
{{- end }}
{{- range .Values.secrets }}
- name: {{ printf "secret-%s" . }}
  secret: {secretName: {{ . }}, defaultMode: 0440}
{{- end }}
{{- with .Values.volumes }}
{{- toYaml . | nindent 0 }}
{{- end }}
{{- end }}
