{{- define "spendstream.name" -}}
{{- .Values.nameOverride | default .Chart.Name | trunc 40 | trimSuffix "-" -}}
{{- end -}}

{{- define "spendstream.fullname" -}}
{{- if .Values.fullnameOverride -}}
{{- .Values.fullnameOverride | trunc 40 | trimSuffix "-" -}}
{{- else if contains (include "spendstream.name" .) .Release.Name -}}
{{- .Release.Name | trunc 40 | trimSuffix "-" -}}
{{- else -}}
{{- printf "%s-%s" .Release.Name (include "spendstream.name" .) | trunc 40 | trimSuffix "-" -}}
{{- end -}}
{{- end -}}

{{/* Labels that never change, for selectors. Takes a list: root, component. */}}
{{- define "spendstream.selector" -}}
app.kubernetes.io/name: {{ include "spendstream.name" (index . 0) }}
app.kubernetes.io/instance: {{ (index . 0).Release.Name }}
app.kubernetes.io/component: {{ index . 1 }}
{{- end -}}

{{- define "spendstream.labels" -}}
{{- $root := index . 0 -}}
{{ include "spendstream.selector" . }}
app.kubernetes.io/version: {{ $root.Chart.AppVersion | quote }}
app.kubernetes.io/managed-by: {{ $root.Release.Service }}
helm.sh/chart: {{ printf "%s-%s" $root.Chart.Name $root.Chart.Version | replace "+" "_" }}
{{- end -}}

{{- define "spendstream.image" -}}
{{- $image := .Values.image -}}
{{- $name := printf "%s:%s" $image.repository ($image.tag | default .Chart.AppVersion) -}}
{{- if $image.digest }}{{ printf "%s@%s" $name $image.digest }}{{ else }}{{ $name }}{{ end -}}
{{- end -}}

{{- define "spendstream.serviceAccount" -}}
{{- if .Values.serviceAccount.create -}}
{{- .Values.serviceAccount.name | default (include "spendstream.fullname" .) -}}
{{- else -}}
{{- .Values.serviceAccount.name | default "default" -}}
{{- end -}}
{{- end -}}

{{/* The port of a component's /healthz, /readyz and /metrics. */}}
{{- define "spendstream.port" -}}
{{- get (dict "gateway" "8080" "processor" "9101" "query" "8000" "alerting" "9102") . -}}
{{- end -}}

{{/* How many processors there may be at most. */}}
{{- define "spendstream.checkProcessors" -}}
{{- $wanted := int .Values.processor.replicas -}}
{{- if .Values.processor.keda.enabled }}{{ $wanted = int .Values.processor.keda.maxReplicas }}{{ end -}}
{{- if gt $wanted (int .Values.kafka.usagePartitions) -}}
{{- fail (printf "%d processors, but kafka.usagePartitions is %d: those beyond it would have nothing to do" $wanted (int .Values.kafka.usagePartitions)) -}}
{{- end -}}
{{- end -}}
