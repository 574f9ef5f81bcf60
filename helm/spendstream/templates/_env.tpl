{{/* One variable from the secret of services, where its key is named. Takes a list: root, variable, name of the key. */}}
{{- define "spendstream.secretEnv" -}}
{{- $root := index . 0 -}}
{{- with get $root.Values.secrets.keys (index . 2) }}
- name: {{ index $ 1 }}
  valueFrom: {secretKeyRef: {name: {{ required "secrets.existingSecret names the secret of the services" $root.Values.secrets.existingSecret }}, key: {{ . }}}}
{{- end }}
{{- end -}}

{{- define "spendstream.databaseEnv" -}}
- name: SPENDSTREAM_DATABASE_DSN
  valueFrom: {secretKeyRef: {name: {{ required "database.existingSecret names the secret with the DSN" .Values.database.existingSecret }}, key: {{ .Values.database.dsnKey }}}}
{{- end -}}

{{- define "spendstream.kafkaEnv" -}}
- name: SPENDSTREAM_KAFKA_BOOTSTRAP
  value: {{ required "kafka.bootstrap says where Kafka is" .Values.kafka.bootstrap | quote }}
{{- with .Values.kafka.security }}
- name: SPENDSTREAM_KAFKA_SECURITY_PROTOCOL
  value: {{ .protocol }}
{{- if hasPrefix "SASL" .protocol }}
- name: SPENDSTREAM_KAFKA_SASL_MECHANISM
  value: {{ .mechanism }}
- name: SPENDSTREAM_KAFKA_SASL_USERNAME
  valueFrom: {secretKeyRef: {name: {{ required "SASL needs kafka.security.existingSecret" .existingSecret }}, key: {{ .usernameKey }}}}
- name: SPENDSTREAM_KAFKA_SASL_PASSWORD
  valueFrom: {secretKeyRef: {name: {{ .existingSecret }}, key: {{ .passwordKey }}}}
{{- end }}
{{- if .caSecret }}
- name: SPENDSTREAM_KAFKA_SSL_CA
  value: /etc/spendstream/kafka/{{ .caKey }}
{{- end }}
{{- end }}
{{- end -}}

{{/* All settings of a component. Takes a list: root, component. */}}
{{- define "spendstream.env" -}}
{{- $root := index . 0 -}}
{{- $component := index . 1 -}}
{{ include "spendstream.databaseEnv" $root }}
- name: SPENDSTREAM_LOG_LEVEL
  value: {{ $root.Values.logLevel }}
{{- if has $component (list "gateway" "processor" "prepare") }}
{{ include "spendstream.kafkaEnv" $root }}
{{- end }}
{{- if eq $component "gateway" }}
- name: SPENDSTREAM_GATEWAY_HOST
  value: 0.0.0.0
- name: SPENDSTREAM_GATEWAY_PORT
  value: "8080"
- name: SPENDSTREAM_GRPC_PORT
  value: "50051"
{{- include "spendstream.secretEnv" (list $root "SPENDSTREAM_ADMIN_KEY" "adminKey") }}
{{- else if eq $component "processor" }}
- name: SPENDSTREAM_PROCESSOR_HOST
  value: 0.0.0.0
- name: SPENDSTREAM_PROCESSOR_PORT
  value: "9101"
# A stateful set's pod keeps its name: started again, it has its partitions back at once.
- name: SPENDSTREAM_PROCESSOR_INSTANCE
  valueFrom: {fieldRef: {fieldPath: metadata.name}}
{{- else if eq $component "query" }}
- name: SPENDSTREAM_QUERY_HOST
  value: 0.0.0.0
- name: SPENDSTREAM_QUERY_PORT
  value: "8000"
- name: SPENDSTREAM_GATEWAY_URL
  value: {{ $root.Values.gatewayUrl | quote }}
{{- include "spendstream.secretEnv" (list $root "SPENDSTREAM_ADMIN_KEY" "adminKey") }}
{{- include "spendstream.secretEnv" (list $root "SPENDSTREAM_SESSION_SECRET" "sessionSecret") }}
{{- include "spendstream.secretEnv" (list $root "SPENDSTREAM_ADDRESS_KEY" "addressKey") }}
{{- else if eq $component "alerting" }}
- name: SPENDSTREAM_ALERTING_HOST
  value: 0.0.0.0
- name: SPENDSTREAM_ALERTING_PORT
  value: "9102"
- name: SPENDSTREAM_PUBLIC_URL
  value: {{ $root.Values.publicUrl | quote }}
- name: SPENDSTREAM_SMTP_FROM
  value: {{ $root.Values.smtpFrom | quote }}
- name: SPENDSTREAM_ALLOW_PRIVATE_WEBHOOKS
  value: {{ $root.Values.alerting.allowPrivateWebhooks | quote }}
{{- include "spendstream.secretEnv" (list $root "SPENDSTREAM_ADDRESS_KEY" "addressKey") }}
{{- include "spendstream.secretEnv" (list $root "SPENDSTREAM_WEBHOOK_SECRET" "webhookSecret") }}
{{- include "spendstream.secretEnv" (list $root "SPENDSTREAM_SLACK_WEBHOOK" "slackWebhook") }}
{{- include "spendstream.secretEnv" (list $root "SPENDSTREAM_SMTP_URL" "smtpUrl") }}
{{- else if eq $component "prepare" }}
- name: SPENDSTREAM_KAFKA_REPLICATION
  value: {{ $root.Values.kafka.replication | quote }}
- name: SPENDSTREAM_USAGE_PARTITIONS
  value: {{ $root.Values.kafka.usagePartitions | quote }}
- name: SPENDSTREAM_PREPARE_SECONDS_MAX
  value: {{ $root.Values.prepare.secondsMax | quote }}
{{- include "spendstream.secretEnv" (list $root "SPENDSTREAM_GRAFANA_PASSWORD" "grafanaPassword") }}
{{- end }}
{{- if ne $component "prepare" }}
{{- range $name, $value := (get $root.Values $component).env }}
- name: {{ $name }}
  value: {{ $value | quote }}
{{- end }}
{{- end }}
{{- end -}}
