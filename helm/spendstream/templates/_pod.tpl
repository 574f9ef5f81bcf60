{{/* What all pods have in common: no root, nothing writable but /tmp, no token. Takes a list: root, component. */}}
{{- define "spendstream.podSecurity" -}}
automountServiceAccountToken: false
securityContext:
  runAsNonRoot: true
  runAsUser: 10001
  runAsGroup: 10001
  fsGroup: 10001
  seccompProfile: {type: RuntimeDefault}
{{- with .Values.imagePullSecrets }}
imagePullSecrets: {{ toYaml . | nindent 2 }}
{{- end }}
{{- with .Values.priorityClassName }}
priorityClassName: {{ . }}
{{- end }}
{{- end -}}

{{- define "spendstream.containerSecurity" -}}
securityContext:
  allowPrivilegeEscalation: false
  readOnlyRootFilesystem: true
  capabilities: {drop: [ALL]}
{{- end -}}

{{- define "spendstream.mounts" -}}
volumeMounts:
  - {name: tmp, mountPath: /tmp}
{{- if and (has (index . 1) (list "gateway" "processor" "prepare")) (index . 0).Values.kafka.security.caSecret }}
  - {name: kafka-ca, mountPath: /etc/spendstream/kafka, readOnly: true}
{{- end }}
{{- end -}}

{{- define "spendstream.volumes" -}}
volumes:
  - name: tmp
    emptyDir: {medium: Memory, sizeLimit: 64Mi}
{{- if and (has (index . 1) (list "gateway" "processor" "prepare")) (index . 0).Values.kafka.security.caSecret }}
  - name: kafka-ca
    secret: {secretName: {{ (index . 0).Values.kafka.security.caSecret }}}
{{- end }}
{{- end -}}

{{/* The pod template of a service. Takes a list: root, component. */}}
{{- define "spendstream.pod" -}}
{{- $root := index . 0 -}}
{{- $component := index . 1 -}}
{{- $values := get $root.Values $component -}}
metadata:
  labels: {{ include "spendstream.labels" . | nindent 4 }}
{{- with $root.Values.podLabels }}{{ toYaml . | nindent 4 }}{{- end }}
{{- with $root.Values.podAnnotations }}
  annotations: {{ toYaml . | nindent 4 }}
{{- end }}
spec:
  serviceAccountName: {{ include "spendstream.serviceAccount" $root }}
  {{- include "spendstream.podSecurity" $root | nindent 2 }}
  terminationGracePeriodSeconds: 45
  containers:
    - name: {{ $component }}
      image: {{ include "spendstream.image" $root | quote }}
      imagePullPolicy: {{ $root.Values.image.pullPolicy }}
      command: [python, -m, services.{{ $component }}.main]
      env: {{ include "spendstream.env" . | nindent 8 }}
      ports:
        - {name: http, containerPort: {{ include "spendstream.port" $component }}, protocol: TCP}
{{- if eq $component "gateway" }}
        - {name: grpc, containerPort: 50051, protocol: TCP}
{{- end }}
      startupProbe:
        httpGet: {path: /healthz, port: http}
        periodSeconds: 2
        failureThreshold: 60
      livenessProbe:
        httpGet: {path: /healthz, port: http}
        periodSeconds: 10
        timeoutSeconds: 5
        failureThreshold: 6
      readinessProbe:
        httpGet: {path: /readyz, port: http}
        periodSeconds: 5
        timeoutSeconds: 5
        failureThreshold: 3
{{- if has $component (list "gateway" "query") }}
      lifecycle:
        # Until nobody sends new requests here any more.
        preStop: {exec: {command: [sleep, "5"]}}
{{- end }}
      resources: {{ toYaml $values.resources | nindent 8 }}
      {{- include "spendstream.containerSecurity" $root | nindent 6 }}
      {{- include "spendstream.mounts" . | nindent 6 }}
  {{- include "spendstream.volumes" . | nindent 2 }}
{{- with $values.nodeSelector }}
  nodeSelector: {{ toYaml . | nindent 4 }}
{{- end }}
{{- with $values.tolerations }}
  tolerations: {{ toYaml . | nindent 4 }}
{{- end }}
{{- with $values.affinity }}
  affinity: {{ toYaml . | nindent 4 }}
{{- end }}
  topologySpreadConstraints:
{{- with $values.topologySpreadConstraints }}
    {{- toYaml . | nindent 4 }}
{{- else }}
    - maxSkew: 1
      topologyKey: kubernetes.io/hostname
      whenUnsatisfiable: ScheduleAnyway
      labelSelector:
        matchLabels: {{ include "spendstream.selector" (list $root $component) | nindent 10 }}
{{- end }}
{{- end -}}
