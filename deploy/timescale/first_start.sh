#!/bin/sh
# Run once by the database's container, when its volume is empty: the owner of Spendstream's schema, who is no superuser.
# CREATEROLE is what the migrations need (docs/security.md).
set -eu
psql --set ON_ERROR_STOP=1 --username "${POSTGRES_USER:-postgres}" --dbname postgres <<'SQL'
\getenv password SPENDSTREAM_DATABASE_PASSWORD
CREATE ROLE spendstream LOGIN NOSUPERUSER CREATEROLE PASSWORD :'password';
CREATE DATABASE spendstream OWNER spendstream;
\connect spendstream
CREATE EXTENSION IF NOT EXISTS timescaledb;
SQL
