{{/* A name of our own for each release; the release's name alone if that says jitsi-exporter already. */}}
{{- define "jitsi-exporter.fullname" -}}
{{- if .Values.fullnameOverride }}{{ .Values.fullnameOverride | trunc 50 | trimSuffix "-" }}
{{- else if contains .Chart.Name .Release.Name }}{{ .Release.Name | trunc 50 | trimSuffix "-" }}
{{- else }}{{ printf "%s-%s" .Release.Name .Chart.Name | trunc 50 | trimSuffix "-" }}
{{- end }}
{{- end }}

{{- define "jitsi-exporter.selector" -}}
app.kubernetes.io/name: jitsi-exporter
app.kubernetes.io/instance: {{ .Release.Name }}
{{- end }}

{{- define "jitsi-exporter.labels" -}}
{{ include "jitsi-exporter.selector" . }}
app.kubernetes.io/version: {{ .Chart.AppVersion | quote }}
app.kubernetes.io/part-of: jitsi
app.kubernetes.io/managed-by: {{ .Release.Service }}
helm.sh/chart: {{ printf "%s-%s" .Chart.Name .Chart.Version | replace "+" "_" }}
{{- end }}

{{/* Of objects that Prometheus' operator selects by label. */}}
{{- define "jitsi-exporter.monitoringLabels" -}}
{{ include "jitsi-exporter.labels" . }}
{{- with .Values.monitoring.labels }}
{{ toYaml . }}
{{- end }}
{{- end }}

{{- define "jitsi-exporter.serviceAccountName" -}}
{{- if .Values.serviceAccount.create }}{{ .Values.serviceAccount.name | default (include "jitsi-exporter.fullname" .) }}
{{- else }}{{ .Values.serviceAccount.name | default "default" }}
{{- end }}
{{- end }}

{{- define "jitsi-exporter.image" -}}
{{- with .Values.image }}
{{- if .digest }}{{ printf "%s@%s" .repository .digest }}
{{- else }}{{ printf "%s:%s" .repository (.tag | default $.Chart.AppVersion) }}
{{- end }}
{{- end }}
{{- end }}

{{/* Where Prometheus asks for probes. */}}
{{- define "jitsi-exporter.address" -}}
{{ include "jitsi-exporter.fullname" . }}.{{ .Release.Namespace }}.svc:10065
{{- end }}

{{/* What the pods of the Deployment and of the DaemonSet have in common: a list of the chart and the workload's values. */}}
{{- define "jitsi-exporter.pod" -}}
{{- $ := index . 0 }}
{{- $workload := index . 1 }}
{{- $onHost := index . 2 }}
serviceAccountName: {{ include "jitsi-exporter.serviceAccountName" $ }}
automountServiceAccountToken: false
{{- with $.Values.imagePullSecrets }}
imagePullSecrets: {{- toYaml . | nindent 2 }}
{{- end }}
{{- with $workload.priorityClassName }}
priorityClassName: {{ . }}
{{- end }}
{{- with $workload.nodeSelector }}
nodeSelector: {{- toYaml . | nindent 2 }}
{{- end }}
{{- with $workload.tolerations }}
tolerations: {{- toYaml . | nindent 2 }}
{{- end }}
{{- with $workload.affinity }}
affinity: {{- toYaml . | nindent 2 }}
{{- end }}
securityContext: {{- toYaml $.Values.podSecurityContext | nindent 2 }}
containers:
  - name: jitsi-exporter
    image: {{ include "jitsi-exporter.image" $ | quote }}
    imagePullPolicy: {{ $.Values.image.pullPolicy }}
    args:
      {{- range $workload.args }}
      - {{ . | quote }}
      {{- end }}
      - --log.format=json
      {{- if $workload.webSecret }}
      - --web.config.file=/etc/jitsi-exporter/web/web.yml
      {{- end }}
      {{- if $workload.modulesSecret }}
      - --config.file=/etc/jitsi-exporter/modules/modules.yml
      {{- end }}
    {{- with $workload.env }}
    env: {{- toYaml . | nindent 6 }}
    {{- end }}
    ports:
      - name: http
        containerPort: 10065
        {{- if $onHost }}
        hostPort: 10065
        {{- end }}
    {{- $scheme := ternary $workload.webScheme "HTTP" (not (empty $workload.webSecret)) }}
    {{- range $probe, $path := dict "readinessProbe" "/-/ready" "livenessProbe" "/-/healthy" }}
    {{ $probe }}:
      {{- if eq $scheme "TCP" }}
      tcpSocket: {port: http}
      {{- else }}
      httpGet: {path: {{ $path }}, port: http{{ if eq $scheme "HTTPS" }}, scheme: HTTPS{{ end }}}
      {{- end }}
      {{- with get $workload $probe }}
      {{- toYaml . | nindent 6 }}
      {{- end }}
    {{- end }}
    resources: {{- toYaml $workload.resources | nindent 6 }}
    securityContext: {{- toYaml $.Values.securityContext | nindent 6 }}
    {{- if or $workload.webSecret $workload.modulesSecret $workload.volumeMounts }}
    volumeMounts:
      {{- if $workload.webSecret }}
      - {name: web, mountPath: /etc/jitsi-exporter/web, readOnly: true}
      {{- end }}
      {{- if $workload.modulesSecret }}
      - {name: modules, mountPath: /etc/jitsi-exporter/modules, readOnly: true}
      {{- end }}
      {{- with $workload.volumeMounts }}
      {{- toYaml . | nindent 6 }}
      {{- end }}
    {{- end }}
{{- if or $workload.webSecret $workload.modulesSecret $workload.volumes }}
volumes:
  {{- with $workload.webSecret }}
  - name: web
    secret: {secretName: {{ . }}, defaultMode: 0440}
  {{- end }}
  {{- with $workload.modulesSecret }}
  - name: modules
    secret: {secretName: {{ . }}, defaultMode: 0440}
  {{- end }}
  {{- with $workload.volumes }}
  {{- toYaml . | nindent 2 }}
  {{- end }}
{{- end }}
{{- end }}
