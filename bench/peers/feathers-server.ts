import { once } from 'node:events';
import type { AddressInfo } from 'node:net';
import { type Application, feathers, type Params } from '@feathersjs/feathers';
import { KnexService } from '@feathersjs/knex';
import { Ajv, hooks } from '@feathersjs/schema';
import socketio from '@feathersjs/socketio';
// Types only: its declarations add channels to those of feathers.
import type {} from '@feathersjs/transport-commons';
import { getValidator, Type } from '@feathersjs/typebox';
import addFormats from 'ajv-formats';
import knex from 'knex';
import { announce, databaseUrl, poolSize } from './serve.js';

const patchSchema = Type.Object(
  { email: Type.String({ format: 'email', maxLength: 254 }), age: Type.Integer({ minimum: 0, maximum: 150 }) },
  { $id: 'PersonPatch', additionalProperties: false },
);
const createSchema = Type.Object(
  {
    ...patchSchema.properties,
    name: Type.String({ minLength: 1, maxLength: 150 }),
    city: Type.String({ maxLength: 150 }),
    active: Type.Boolean(),
  },
  { $id: 'NewPerson', additionalProperties: false },
);

const ajv = addFormats.default(new Ajv({}), ['email']);
const Model = knex({ client: 'pg', connection: databaseUrl, pool: { min: poolSize, max: poolSize } });
const app: Application = feathers();
app.configure(socketio({ transports: ['websocket'], serveClient: false, perMessageDeflate: false }));

app.use('echo', { create: async (data: unknown) => data }, { methods: ['create'], serviceEvents: [] });
app.use('people', new KnexService({ Model, name: 'person', id: 'id' }), {
  methods: ['find', 'get', 'create', 'patch', 'remove'],
});
const paginate = { default: 25, max: 1_000 };
app.use('counted', new KnexService({ Model, name: 'person', id: 'id', paginate }), { methods: ['find'] });

const channelOf = (pk: number | undefined): string => (pk === undefined ? 'people' : `person-${pk}`);
const subscriptions = {
  async create({ pk }: { readonly pk?: number }, { connection }: Params) {
    if (connection) app.channel(channelOf(pk)).join(connection);
    return null;
  },
};
app.use('subscriptions', subscriptions, { methods: ['create'], serviceEvents: [] });

app.service('people').hooks({
  before: {
    patch: [hooks.validateData(getValidator(patchSchema, ajv))],
    create: [hooks.validateData(getValidator(createSchema, ajv))],
  },
});
app
  .service('people')
  .publish('patched', ({ id }: { id: number }) => [app.channel(channelOf(undefined)), app.channel(channelOf(id))]);

const server = await app.listen({ port: 0, host: '127.0.0.1' });
if (!server.listening) await once(server, 'listening');
announce((server.address() as AddressInfo).port);
