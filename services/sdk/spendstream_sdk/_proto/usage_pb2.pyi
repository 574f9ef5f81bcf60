import datetime

from google.protobuf import timestamp_pb2 as _timestamp_pb2
from google.protobuf.internal import containers as _containers
from google.protobuf.internal import enum_type_wrapper as _enum_type_wrapper
from google.protobuf import descriptor as _descriptor
from google.protobuf import message as _message
from collections.abc import Iterable as _Iterable, Mapping as _Mapping
from typing import ClassVar as _ClassVar, Optional as _Optional, Union as _Union

DESCRIPTOR: _descriptor.FileDescriptor

class Status(int, metaclass=_enum_type_wrapper.EnumTypeWrapper):
    __slots__ = ()
    STATUS_UNSPECIFIED: _ClassVar[Status]
    STATUS_OK: _ClassVar[Status]
    STATUS_ERROR: _ClassVar[Status]
    STATUS_TIMEOUT: _ClassVar[Status]
    STATUS_CANCELLED: _ClassVar[Status]

class ServiceTier(int, metaclass=_enum_type_wrapper.EnumTypeWrapper):
    __slots__ = ()
    SERVICE_TIER_UNSPECIFIED: _ClassVar[ServiceTier]
    SERVICE_TIER_STANDARD: _ClassVar[ServiceTier]
    SERVICE_TIER_BATCH: _ClassVar[ServiceTier]
    SERVICE_TIER_FLEX: _ClassVar[ServiceTier]
    SERVICE_TIER_PRIORITY: _ClassVar[ServiceTier]
STATUS_UNSPECIFIED: Status
STATUS_OK: Status
STATUS_ERROR: Status
STATUS_TIMEOUT: Status
STATUS_CANCELLED: Status
SERVICE_TIER_UNSPECIFIED: ServiceTier
SERVICE_TIER_STANDARD: ServiceTier
SERVICE_TIER_BATCH: ServiceTier
SERVICE_TIER_FLEX: ServiceTier
SERVICE_TIER_PRIORITY: ServiceTier

class Usage(_message.Message):
    __slots__ = ("input_uncached", "cache_read", "cache_write_5m", "cache_write_1h", "output_text", "output_reasoning", "input_audio", "output_audio", "input_image", "output_image", "units")
    class UnitsEntry(_message.Message):
        __slots__ = ("key", "value")
        KEY_FIELD_NUMBER: _ClassVar[int]
        VALUE_FIELD_NUMBER: _ClassVar[int]
        key: str
        value: int
        def __init__(self, key: _Optional[str] = ..., value: _Optional[int] = ...) -> None: ...
    INPUT_UNCACHED_FIELD_NUMBER: _ClassVar[int]
    CACHE_READ_FIELD_NUMBER: _ClassVar[int]
    CACHE_WRITE_5M_FIELD_NUMBER: _ClassVar[int]
    CACHE_WRITE_1H_FIELD_NUMBER: _ClassVar[int]
    OUTPUT_TEXT_FIELD_NUMBER: _ClassVar[int]
    OUTPUT_REASONING_FIELD_NUMBER: _ClassVar[int]
    INPUT_AUDIO_FIELD_NUMBER: _ClassVar[int]
    OUTPUT_AUDIO_FIELD_NUMBER: _ClassVar[int]
    INPUT_IMAGE_FIELD_NUMBER: _ClassVar[int]
    OUTPUT_IMAGE_FIELD_NUMBER: _ClassVar[int]
    UNITS_FIELD_NUMBER: _ClassVar[int]
    input_uncached: int
    cache_read: int
    cache_write_5m: int
    cache_write_1h: int
    output_text: int
    output_reasoning: int
    input_audio: int
    output_audio: int
    input_image: int
    output_image: int
    units: _containers.ScalarMap[str, int]
    def __init__(self, input_uncached: _Optional[int] = ..., cache_read: _Optional[int] = ..., cache_write_5m: _Optional[int] = ..., cache_write_1h: _Optional[int] = ..., output_text: _Optional[int] = ..., output_reasoning: _Optional[int] = ..., input_audio: _Optional[int] = ..., output_audio: _Optional[int] = ..., input_image: _Optional[int] = ..., output_image: _Optional[int] = ..., units: _Optional[_Mapping[str, int]] = ...) -> None: ...

class UsageEvent(_message.Message):
    __slots__ = ("event_id", "occurred_at", "tenant_id", "provider", "model", "usage", "feature", "agent_id", "section_path", "run_id", "request_id", "attempt", "retry_count", "customer_id", "user_id", "channel", "region", "service_tier", "operation", "status", "superseded", "error_type", "latency_ms", "cache_hit", "streaming", "tokens_estimated", "prompt_template_id", "prompt_template_version", "reported_cost_usd", "metadata", "source")
    class MetadataEntry(_message.Message):
        __slots__ = ("key", "value")
        KEY_FIELD_NUMBER: _ClassVar[int]
        VALUE_FIELD_NUMBER: _ClassVar[int]
        key: str
        value: str
        def __init__(self, key: _Optional[str] = ..., value: _Optional[str] = ...) -> None: ...
    EVENT_ID_FIELD_NUMBER: _ClassVar[int]
    OCCURRED_AT_FIELD_NUMBER: _ClassVar[int]
    TENANT_ID_FIELD_NUMBER: _ClassVar[int]
    PROVIDER_FIELD_NUMBER: _ClassVar[int]
    MODEL_FIELD_NUMBER: _ClassVar[int]
    USAGE_FIELD_NUMBER: _ClassVar[int]
    FEATURE_FIELD_NUMBER: _ClassVar[int]
    AGENT_ID_FIELD_NUMBER: _ClassVar[int]
    SECTION_PATH_FIELD_NUMBER: _ClassVar[int]
    RUN_ID_FIELD_NUMBER: _ClassVar[int]
    REQUEST_ID_FIELD_NUMBER: _ClassVar[int]
    ATTEMPT_FIELD_NUMBER: _ClassVar[int]
    RETRY_COUNT_FIELD_NUMBER: _ClassVar[int]
    CUSTOMER_ID_FIELD_NUMBER: _ClassVar[int]
    USER_ID_FIELD_NUMBER: _ClassVar[int]
    CHANNEL_FIELD_NUMBER: _ClassVar[int]
    REGION_FIELD_NUMBER: _ClassVar[int]
    SERVICE_TIER_FIELD_NUMBER: _ClassVar[int]
    OPERATION_FIELD_NUMBER: _ClassVar[int]
    STATUS_FIELD_NUMBER: _ClassVar[int]
    SUPERSEDED_FIELD_NUMBER: _ClassVar[int]
    ERROR_TYPE_FIELD_NUMBER: _ClassVar[int]
    LATENCY_MS_FIELD_NUMBER: _ClassVar[int]
    CACHE_HIT_FIELD_NUMBER: _ClassVar[int]
    STREAMING_FIELD_NUMBER: _ClassVar[int]
    TOKENS_ESTIMATED_FIELD_NUMBER: _ClassVar[int]
    PROMPT_TEMPLATE_ID_FIELD_NUMBER: _ClassVar[int]
    PROMPT_TEMPLATE_VERSION_FIELD_NUMBER: _ClassVar[int]
    REPORTED_COST_USD_FIELD_NUMBER: _ClassVar[int]
    METADATA_FIELD_NUMBER: _ClassVar[int]
    SOURCE_FIELD_NUMBER: _ClassVar[int]
    event_id: str
    occurred_at: _timestamp_pb2.Timestamp
    tenant_id: str
    provider: str
    model: str
    usage: Usage
    feature: str
    agent_id: str
    section_path: str
    run_id: str
    request_id: str
    attempt: int
    retry_count: int
    customer_id: str
    user_id: str
    channel: str
    region: str
    service_tier: ServiceTier
    operation: str
    status: Status
    superseded: bool
    error_type: str
    latency_ms: int
    cache_hit: bool
    streaming: bool
    tokens_estimated: bool
    prompt_template_id: str
    prompt_template_version: str
    reported_cost_usd: str
    metadata: _containers.ScalarMap[str, str]
    source: str
    def __init__(self, event_id: _Optional[str] = ..., occurred_at: _Optional[_Union[datetime.datetime, _timestamp_pb2.Timestamp, _Mapping]] = ..., tenant_id: _Optional[str] = ..., provider: _Optional[str] = ..., model: _Optional[str] = ..., usage: _Optional[_Union[Usage, _Mapping]] = ..., feature: _Optional[str] = ..., agent_id: _Optional[str] = ..., section_path: _Optional[str] = ..., run_id: _Optional[str] = ..., request_id: _Optional[str] = ..., attempt: _Optional[int] = ..., retry_count: _Optional[int] = ..., customer_id: _Optional[str] = ..., user_id: _Optional[str] = ..., channel: _Optional[str] = ..., region: _Optional[str] = ..., service_tier: _Optional[_Union[ServiceTier, str]] = ..., operation: _Optional[str] = ..., status: _Optional[_Union[Status, str]] = ..., superseded: _Optional[bool] = ..., error_type: _Optional[str] = ..., latency_ms: _Optional[int] = ..., cache_hit: _Optional[bool] = ..., streaming: _Optional[bool] = ..., tokens_estimated: _Optional[bool] = ..., prompt_template_id: _Optional[str] = ..., prompt_template_version: _Optional[str] = ..., reported_cost_usd: _Optional[str] = ..., metadata: _Optional[_Mapping[str, str]] = ..., source: _Optional[str] = ...) -> None: ...

class UsageBatch(_message.Message):
    __slots__ = ("events", "batch_id", "door")
    EVENTS_FIELD_NUMBER: _ClassVar[int]
    BATCH_ID_FIELD_NUMBER: _ClassVar[int]
    DOOR_FIELD_NUMBER: _ClassVar[int]
    events: _containers.RepeatedCompositeFieldContainer[UsageEvent]
    batch_id: str
    door: str
    def __init__(self, events: _Optional[_Iterable[_Union[UsageEvent, _Mapping]]] = ..., batch_id: _Optional[str] = ..., door: _Optional[str] = ...) -> None: ...

class UsageBatchEnvelope(_message.Message):
    __slots__ = ("events", "batch_id", "door")
    EVENTS_FIELD_NUMBER: _ClassVar[int]
    BATCH_ID_FIELD_NUMBER: _ClassVar[int]
    DOOR_FIELD_NUMBER: _ClassVar[int]
    events: _containers.RepeatedScalarFieldContainer[bytes]
    batch_id: str
    door: str
    def __init__(self, events: _Optional[_Iterable[bytes]] = ..., batch_id: _Optional[str] = ..., door: _Optional[str] = ...) -> None: ...

class RejectedEvent(_message.Message):
    __slots__ = ("index", "event_id", "reason")
    INDEX_FIELD_NUMBER: _ClassVar[int]
    EVENT_ID_FIELD_NUMBER: _ClassVar[int]
    REASON_FIELD_NUMBER: _ClassVar[int]
    index: int
    event_id: str
    reason: str
    def __init__(self, index: _Optional[int] = ..., event_id: _Optional[str] = ..., reason: _Optional[str] = ...) -> None: ...

class VendorUsage(_message.Message):
    __slots__ = ("index", "json", "shape")
    INDEX_FIELD_NUMBER: _ClassVar[int]
    JSON_FIELD_NUMBER: _ClassVar[int]
    SHAPE_FIELD_NUMBER: _ClassVar[int]
    index: int
    json: str
    shape: str
    def __init__(self, index: _Optional[int] = ..., json: _Optional[str] = ..., shape: _Optional[str] = ...) -> None: ...

class RecordUsageRequest(_message.Message):
    __slots__ = ("batch", "vendor_usage")
    BATCH_FIELD_NUMBER: _ClassVar[int]
    VENDOR_USAGE_FIELD_NUMBER: _ClassVar[int]
    batch: UsageBatch
    vendor_usage: _containers.RepeatedCompositeFieldContainer[VendorUsage]
    def __init__(self, batch: _Optional[_Union[UsageBatch, _Mapping]] = ..., vendor_usage: _Optional[_Iterable[_Union[VendorUsage, _Mapping]]] = ...) -> None: ...

class RecordUsageResponse(_message.Message):
    __slots__ = ("accepted", "rejected")
    ACCEPTED_FIELD_NUMBER: _ClassVar[int]
    REJECTED_FIELD_NUMBER: _ClassVar[int]
    accepted: int
    rejected: _containers.RepeatedCompositeFieldContainer[RejectedEvent]
    def __init__(self, accepted: _Optional[int] = ..., rejected: _Optional[_Iterable[_Union[RejectedEvent, _Mapping]]] = ...) -> None: ...

class StreamUsageRequest(_message.Message):
    __slots__ = ("batch", "vendor_usage")
    BATCH_FIELD_NUMBER: _ClassVar[int]
    VENDOR_USAGE_FIELD_NUMBER: _ClassVar[int]
    batch: UsageBatch
    vendor_usage: _containers.RepeatedCompositeFieldContainer[VendorUsage]
    def __init__(self, batch: _Optional[_Union[UsageBatch, _Mapping]] = ..., vendor_usage: _Optional[_Iterable[_Union[VendorUsage, _Mapping]]] = ...) -> None: ...

class VendorUsageEnvelope(_message.Message):
    __slots__ = ("vendor_usage",)
    VENDOR_USAGE_FIELD_NUMBER: _ClassVar[int]
    vendor_usage: _containers.RepeatedCompositeFieldContainer[VendorUsage]
    def __init__(self, vendor_usage: _Optional[_Iterable[_Union[VendorUsage, _Mapping]]] = ...) -> None: ...

class StreamUsageResponse(_message.Message):
    __slots__ = ("accepted", "rejected")
    ACCEPTED_FIELD_NUMBER: _ClassVar[int]
    REJECTED_FIELD_NUMBER: _ClassVar[int]
    accepted: int
    rejected: _containers.RepeatedCompositeFieldContainer[RejectedEvent]
    def __init__(self, accepted: _Optional[int] = ..., rejected: _Optional[_Iterable[_Union[RejectedEvent, _Mapping]]] = ...) -> None: ...
