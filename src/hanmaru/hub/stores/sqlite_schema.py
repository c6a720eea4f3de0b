"""Tables of the SQLite store. ``entity.key`` stays an entity's for good, so that history survives its deletion."""

SCHEMA_VERSION = 2

DATASETS = """
CREATE INDEX instance_dataset ON instance (entity, attr, dataset, at, seq) WHERE dataset<>'';
"""
"""What version 2 added: the few instances with a ``datasetId`` by it, so that the newest of each is a look-up."""

SCHEMA = (
    """
CREATE TABLE tenant (id INTEGER PRIMARY KEY, name TEXT NOT NULL UNIQUE) STRICT;
CREATE TABLE term (id INTEGER PRIMARY KEY, tenant INTEGER NOT NULL, text TEXT NOT NULL, UNIQUE (tenant, text)) STRICT;
CREATE TABLE entity (
  key INTEGER PRIMARY KEY, tenant INTEGER NOT NULL, id TEXT NOT NULL, live INTEGER NOT NULL,
  doc BLOB NOT NULL, UNIQUE (tenant, id)
) STRICT;
CREATE INDEX entity_walk ON entity (tenant, live, key);
CREATE TABLE entity_type (
  type INTEGER NOT NULL, live INTEGER NOT NULL, entity INTEGER NOT NULL, PRIMARY KEY (type, live, entity)
) STRICT, WITHOUT ROWID;
CREATE TABLE type_attr (
  type INTEGER NOT NULL, attr INTEGER NOT NULL, kind TEXT NOT NULL, entities INTEGER NOT NULL,
  PRIMARY KEY (type, attr, kind)
) STRICT, WITHOUT ROWID;
CREATE TABLE entity_scope (
  entity INTEGER NOT NULL, scope TEXT NOT NULL, PRIMARY KEY (entity, scope)
) STRICT, WITHOUT ROWID;
CREATE INDEX entity_scope_by_scope ON entity_scope (scope, entity);
CREATE TABLE value (
  entity INTEGER NOT NULL, attr INTEGER NOT NULL, n INTEGER NOT NULL, path INTEGER NOT NULL,
  num REAL, txt TEXT, observed INTEGER, created INTEGER, modified INTEGER, PRIMARY KEY (entity, attr, n)
) STRICT, WITHOUT ROWID;
CREATE INDEX value_by_path ON value (path, num, txt, entity);
CREATE TABLE geo (id INTEGER PRIMARY KEY, entity INTEGER NOT NULL, attr INTEGER NOT NULL, wkb BLOB NOT NULL) STRICT;
CREATE INDEX geo_by_entity ON geo (entity, attr);
CREATE VIRTUAL TABLE geo_box USING rtree (id, west, east, south, north);
CREATE TABLE instance (
  entity INTEGER NOT NULL, attr INTEGER NOT NULL, at INTEGER NOT NULL, dataset TEXT NOT NULL, seq INTEGER NOT NULL,
  observed INTEGER NOT NULL, modified INTEGER NOT NULL, doc BLOB NOT NULL,
  PRIMARY KEY (entity, attr, at, dataset, seq)
) STRICT, WITHOUT ROWID;
CREATE TABLE outbox (seq INTEGER PRIMARY KEY AUTOINCREMENT, tenant INTEGER NOT NULL, doc BLOB NOT NULL) STRICT;
CREATE TABLE document (
  kind TEXT NOT NULL, tenant TEXT NOT NULL, id TEXT NOT NULL, doc BLOB NOT NULL, PRIMARY KEY (kind, tenant, id)
) STRICT, WITHOUT ROWID;
CREATE TABLE counter (name TEXT PRIMARY KEY, value INTEGER NOT NULL) STRICT, WITHOUT ROWID;
CREATE TABLE delivery (
  id INTEGER PRIMARY KEY AUTOINCREMENT, tenant TEXT NOT NULL, subscription TEXT NOT NULL, due INTEGER NOT NULL,
  attempts INTEGER NOT NULL, doc BLOB NOT NULL
) STRICT;
CREATE INDEX delivery_by_subscription ON delivery (tenant, subscription, id);
INSERT INTO tenant (id, name) VALUES (0, '');
"""
    + DATASETS
)
