"""The terms of the NGSI-LD core @context, version 1.9 (ETSI GS CIM 009 v1.9.1, annex B), as a table."""

from hanmaru.hub.model import CORE

GEOJSON = "https://purl.org/geojson/vocab#"

_SAME_NAME = """
    Attribute AttributeList ContextSourceIdentity ContextSourceNotification ContextSourceRegistration Date
    DateTime EntityMap EntityType EntityTypeInfo EntityTypeList ExecutionResultDetails GeoProperty JsonProperty
    LanguageProperty ListProperty ListRelationship Notification Property Relationship Snapshot
    SnapshotNotification Subscription TemporalProperty Time VocabProperty accept aggrMethods aggrParams
    aggrPeriodDuration attributeCount attributeDetails attributeList attributeName attributeNames attributeTypes
    attributes attrs avg cacheDuration collation contextSourceAlias contextSourceExtras contextSourceInfo
    contextSourceTimeAt contextSourceUptime cooldown createdAt csf data datasetId deletedAt detail distinctCount
    endAt endTimeAt endpoint entities entity entityCount entityId entityList error errors expandValues expiresAt
    format geoQ geoproperty georel idPattern information instanceId isActive join jsonKeys jsonldContext jsons
    lang lastFailure lastN lastNotification lastSuccess lastUsedAt linkedMaps localOnly location management
    managementInterval max min mode modifiedAt ngsildConformance ngsildproof notUpdated notification
    notificationTrigger notifiedAt notifierInfo observationInterval observationSpace observedAt omit
    operationSpace operations orderBy ordering pick problemDetails propertyNames q reason receiverInfo
    refreshRate registrationId registrationName relationshipNames resultStatus scope scopeQ showChanges
    snapshotId snapshotLifetime snapshotPriority snapshotQueries snapshotQueriesDetails snapshotStatus
    snapshotTemporalQueries snapshotTemporalQueriesDetails startAt status stddev subscriptionId subscriptionName
    success sum sumsq sysAttrs temporalQ tenant throttling timeAt timeInterval timeout timeproperty timerel
    timesFailed timesSent totalCount triggerReason typeList typeName typeNames unchanged unitCode updated uri
    watchedAttributes
"""
"""Terms that stand for ``ngsi-ld:`` and their own name."""

_GEOJSON = """
    Feature FeatureCollection GeometryCollection LineString MultiLineString MultiPoint MultiPolygon Point Polygon
    bbox coordinates features geometry properties
"""

_OTHER = {
    "id": "@id",
    "type": "@type",
    "description": "http://purl.org/dc/terms/description",
    "title": "http://purl.org/dc/terms/title",
    "langString": "http://www.w3.org/1999/02/22-rdf-syntax-ns#langString",
    "containedBy": CORE + "isContainedBy",
    "entityMapLifetime": CORE + "hasEntityMapLifetime",
    "joinLevel": CORE + "hasJoinLevel",
}

_HAS = """
    dataset=Dataset entityMap=EntityMap json=JSON key=Key languageMap=LanguageMap languageMaps=LanguageMaps
    object=Object objectList=ObjectList objectLists=ObjectLists objects=Objects objectType=ObjectType
    previousJson=PreviousJson previousLanguageMap=PreviousLanguageMap previousObject=PreviousObject
    previousObjectList=PreviousObjectList
    previousValue=PreviousValue previousValueList=PreviousValueList previousVocab=PreviousVocab
    splitEntities=SplitEntities
    value=Value valueList=ValueList valueLists=ValueLists values=Values valueType=ValueType vocab=Vocab vocabs=Vocabs
"""
"""Terms that stand for ``ngsi-ld:has…``."""


def core_terms() -> dict[str, str]:
    """Return every term of the core @context with the IRI that it stands for."""
    terms = {name: CORE + name for name in _SAME_NAME.split()}
    terms |= {name: GEOJSON + name for name in _GEOJSON.split()}
    terms |= {name: CORE + "has" + rest for name, rest in (pair.split("=") for pair in _HAS.split())}
    return terms | _OTHER
