import { STATUS_CODES } from 'node:http';
import type { FastifyDynamicSwaggerOptions } from '@fastify/swagger';
import { jsonSchemaTransform, jsonSchemaTransformObject } from 'fastify-type-provider-zod';
import { z } from 'zod';
import type { Config } from '../../config.ts';

export type DocumentInfo = {
  title: string;
  description: string;
  security: string;
  scheme:
    | { type: 'apiKey'; in: 'header'; name: string; description: string }
    | { type: 'http'; scheme: 'bearer'; description: string };
  tags: { name: string; description: string }[];
};

/** A document of the routes that are registered in the same scope, OpenAPI 3.0 as the seed's clients expect. */
export function openApiOptions(
  config: Pick<Config, 'publicUrl'>,
  { title, description, security, scheme, tags }: DocumentInfo,
): FastifyDynamicSwaggerOptions {
  return {
    openapi: {
      openapi: '3.0.3',
      info: { title, version: '1', description },
      servers: [{ url: config.publicUrl }],
      tags,
      components: { securitySchemes: { [security]: scheme } },
      security: [{ [security]: [] }],
    },
    transform: (route) => jsonSchemaTransform(withoutOptionalBody(route)),
    transformObject: (input) => tidy(jsonSchemaTransformObject(input)),
  };
}

type Route = Parameters<typeof jsonSchemaTransform>[0];

/** A body that may be left out and says nothing is not described: generated clients would demand one. */
function withoutOptionalBody(route: Route): Route {
  const body: unknown = route.schema?.body;
  if (!(body instanceof z.ZodOptional)) return route;
  const { body: _, ...schema } = route.schema;
  return { ...route, schema };
}

type Operation = { responses?: Record<string, { description: string }> };
type Document = {
  paths?: Record<string, Record<string, Operation>>;
  components?: { schemas?: Record<string, unknown> };
};

function tidy<T extends object>(document: T): T {
  const { paths = {}, components } = document as Document;
  for (const operations of Object.values(paths)) {
    for (const operation of Object.values(operations)) {
      nameStatuses(operation);
      open(operation.responses);
    }
  }
  open(components?.schemas);
  if (components?.schemas !== undefined) dropUnused(document, components.schemas);
  admitNull(document);
  return document;
}

/** In OpenAPI 3.0 `nullable` alone does not admit null where values are enumerated. */
function admitNull(node: unknown): void {
  if (typeof node !== 'object' || node === null) return;
  const { nullable, enum: values } = node as { nullable?: unknown; enum?: unknown[] };
  if (nullable === true && Array.isArray(values) && !values.includes(null)) values.push(null);
  Object.values(node).forEach(admitNull);
}

/** Answers may get more fields: a client that refuses unknown ones would break. Components are parts of answers. */
function open(node: unknown): void {
  if (typeof node !== 'object' || node === null) return;
  if ('additionalProperties' in node && node.additionalProperties === false) delete node.additionalProperties;
  Object.values(node).forEach(open);
}

function nameStatuses(operation: Operation): void {
  for (const [status, response] of Object.entries(operation.responses ?? {})) {
    response.description = STATUS_CODES[status] ?? status;
  }
}

/** The generator makes an input and an output form of every component; what nothing refers to is left out. */
function dropUnused(document: object, schemas: Record<string, unknown>): void {
  for (let removed = true; removed; ) {
    removed = false;
    const text = JSON.stringify(document);
    for (const name of Object.keys(schemas)) {
      if (text.includes(`"#/components/schemas/${name}"`)) continue;
      delete schemas[name];
      removed = true;
    }
  }
}
