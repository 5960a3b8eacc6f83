import { expect } from 'chai';
import { type App, path, route, type View, viewAsConsumer } from 'signalbox';
import { connect } from 'signalbox/testing';
import { useServer } from '../support/serving.js';

const things = [
  { id: 1, name: 'alpha', shelf: 1 },
  { id: 2, name: 'beta', shelf: 1 },
  { id: 3, name: 'gamma', shelf: 1 },
];

const echo: View = async (request, { parameters, scope }) => {
  if (request.method === 'PATCH') return Response.json({ f: ['bad'] }, { status: 400 });
  if (request.method === 'PUT') return Response.json({ data: await request.json() }, { status: 201 });
  const query = Object.fromEntries(new URL(request.url).searchParams);
  return Response.json({ GET: query, parameters, user: scope.cookies['user'] ?? null });
};

const plain: View = async (request) => {
  const { pathname, searchParams } = new URL(request.url);
  const mode = searchParams.get('mode');
  if (mode === 'bytes') return new Response(new Uint8Array([0xff, 0xfe]), { status: 203 });
  if (mode === '404') return new Response('Not found', { status: 404 });
  if (mode !== 'meta') return new Response('plain text', { status: 202 });
  return Response.json({
    method: request.method,
    path: pathname,
    GET: [...searchParams],
    type: request.headers.get('content-type'),
    accept: request.headers.get('accept'),
    agent: request.headers.get('user-agent'),
    upgrade: request.headers.get('upgrade'),
    body: await request.text(),
  });
};

const thingSet: View = async (request, { parameters }) => {
  const pk = Number(parameters['pk']);
  const thing = things.find(({ id }) => id === pk);
  if (request.method === 'GET') return Response.json(things);
  if (request.method === 'PUT') return Response.json({ id: 4, ...(await request.json()), shelf: 1 }, { status: 201 });
  if (!thing) return Response.json({ detail: 'No Thing matches the given query.' }, { status: 404 });
  if (request.method === 'PATCH') return Response.json({ ...thing, ...(await request.json()) });
  return new Response(null, { status: 204 });
};

const retrieveOnly: View = async (request, { parameters }) => {
  if (request.method !== 'GET')
    return Response.json({ detail: `Method "${request.method}" not allowed.` }, { status: 405 });
  return parameters['pk'] === 42
    ? Response.json({})
    : Response.json({ detail: 'No Thing matches the given query.' }, { status: 404 });
};

const routes = [
  path(
    '/ws/view-list/',
    viewAsConsumer(() => Response.json(['test1', 'test2'])),
  ),
  path('/ws/view-echo/', viewAsConsumer(echo)),
  path('/ws/view-set-retrieve/', viewAsConsumer(retrieveOnly)),
  path('/ws/view-plain/', viewAsConsumer(plain)),
  path(
    '/ws/view-raises/',
    viewAsConsumer(() => {
      throw new RangeError('secret');
    }),
  ),
  path(
    '/ws/view-set/',
    viewAsConsumer(thingSet, {
      list: route('GET'),
      create: route('PUT'),
      update: route('PATCH'),
      delete: route('DELETE'),
    }),
  ),
];

describe('DCRF 11: view_as_consumer', () => {
  const serve = useServer();
  let app: App;

  beforeEach(() => {
    ({ app } = serve(routes));
  });

  it('S160 a view behind the socket answers retrieve with what it answers to GET', async () => {
    await using ann = await connect(app, '/ws/view-list/');
    expect(await ann.request('retrieve', { request_id: 1 })).to.deep.equal({
      errors: [],
      data: ['test1', 'test2'],
      action: 'retrieve',
      response_status: 200,
      request_id: 1,
    });
  });

  it('S161 (differs) query arrives as in a URL: numbers are text', async () => {
    await using ann = await connect(app, '/ws/view-echo/');
    const { data } = await ann.request('retrieve', { query: { value: 1, othervalue: 42 } });
    expect(data).to.deep.equal({ GET: { value: '1', othervalue: '42' }, parameters: {}, user: null });
  });

  it('S162 parameters reach the view with their types', async () => {
    await using ann = await connect(app, '/ws/view-set-retrieve/');
    expect(await ann.request('retrieve', { request_id: 1, parameters: { pk: 42 } })).to.deep.equal({
      errors: [],
      data: {},
      action: 'retrieve',
      response_status: 200,
      request_id: 1,
    });
  });

  it('S164 (differs) create is a PUT whose body is the data', async () => {
    await using ann = await connect(app, '/ws/view-echo/');
    expect(await ann.request('create', { request_id: 1, data: { name: 'x' } })).to.deep.equal({
      errors: [],
      data: { data: { name: 'x' } },
      action: 'create',
      response_status: 201,
      request_id: 1,
    });
  });

  it("S165 (differs) a view's error is an error frame of its status", async () => {
    await using ann = await connect(app, '/ws/view-echo/');
    expect(await ann.request('update', { request_id: 1, data: {} })).to.deep.equal({
      errors: [{ f: ['bad'] }],
      data: null,
      action: 'update',
      response_status: 400,
      request_id: 1,
      code: 'view_failed',
    });
    await using bob = await connect(app, '/ws/view-set-retrieve/');
    expect(await bob.request('retrieve', { parameters: { pk: 100 } })).to.deep.include({
      errors: ['No Thing matches the given query.'],
      response_status: 404,
    });
    expect(await bob.request('create', { data: {} })).to.deep.include({
      errors: ['Method "PUT" not allowed.'],
      response_status: 405,
    });
  });

  it('S166 an action that is not mapped is refused by the consumer', async () => {
    await using ann = await connect(app, '/ws/view-echo/');
    for (const action of ['delete', 'patch']) {
      expect(await ann.request(action, { request_id: 1 })).to.deep.equal({
        errors: [`Method "${action}" not allowed.`],
        data: null,
        action,
        response_status: 405,
        request_id: 1,
        code: 'action_not_found',
      });
    }
  });

  it('S167 (differs) a view that throws is answered 500, and the socket lives', async () => {
    await using ann = await connect(app, '/ws/view-raises/');
    const failed = await ann.request('list', { request_id: 1 });
    expect(failed).to.include({ response_status: 500, code: 'server_error', data: null });
    expect(String(failed.errors)).to.match(/^A server error occurred\. Correlation id: [\da-f-]{36}\.$/);
    expect(JSON.stringify(failed)).not.to.include('secret');
    expect(await ann.request('list')).to.include({ response_status: 500 });
  });

  it('S169 (differs) a mapping of its own creates, changes and deletes', async () => {
    await using ann = await connect(app, '/ws/view-set/');
    expect(await ann.request('list')).to.deep.include({ data: things, response_status: 200 });
    expect(await ann.request('create', { data: { name: 'via view' } })).to.deep.include({
      data: { id: 4, name: 'via view', shelf: 1 },
      response_status: 201,
    });
    expect(await ann.request('update', { parameters: { pk: 1 }, data: { name: 'via view' } })).to.deep.include({
      data: { id: 1, name: 'via view', shelf: 1 },
      response_status: 200,
    });
    expect(await ann.request('delete', { request_id: 4, parameters: { pk: 1 } })).to.deep.equal({
      errors: [],
      data: null,
      action: 'delete',
      response_status: 204,
      request_id: 4,
    });
  });

  it('S170 (differs) text is text, other bytes are hexadecimal, and the headers of the handshake are standard ones', async () => {
    await using ann = await connect(app, '/ws/view-plain/?x=1', {
      headers: { 'user-agent': 'spec', upgrade: 'websocket' },
    });
    expect(await ann.request('list')).to.deep.include({ data: 'plain text', response_status: 202 });
    expect(await ann.request('list', { query: { mode: 'bytes' } })).to.deep.include({
      data: 'fffe',
      response_status: 203,
    });
    expect(await ann.request('list', { query: { mode: '404' } })).to.deep.include({
      errors: ['Not found'],
      data: null,
      response_status: 404,
    });
    const { data } = await ann.request('create', { query: { mode: 'meta', n: 1 }, data: { x: 1 } });
    expect(data).to.deep.equal({
      method: 'PUT',
      path: '/ws/view-plain/',
      GET: [
        ['mode', 'meta'],
        ['n', '1'],
      ],
      type: 'application/json',
      accept: 'application/json',
      agent: 'spec',
      upgrade: null,
      body: '{"x":1}',
    });
  });

  it('S171 (differs) query and parameters that are no objects are answered 400', async () => {
    await using ann = await connect(app, '/ws/view-echo/');
    for (const name of ['query', 'parameters']) {
      expect(await ann.request('list', { request_id: 1, [name]: [1] })).to.deep.equal({
        errors: [{ [name]: ['This has to be an object.'] }],
        data: null,
        action: 'list',
        response_status: 400,
        request_id: 1,
        code: 'validation_failed',
      });
    }
  });

  it('S172 (differs) every connection has a consumer of its own, its own user and its own answers', async () => {
    await using ann = await connect(app, '/ws/view-echo/', { cookies: { user: 'alice' } });
    await using bob = await connect(app, '/ws/view-echo/', { cookies: { user: 'bob' } });
    expect((await ann.request('list', { request_id: 'from-A' })).data).to.include({ user: 'alice' });
    expect((await bob.request('list')).data).to.include({ user: 'bob' });
    await ann.expectSilence();
    await bob.expectSilence();
  });
});
