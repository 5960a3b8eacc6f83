import { expect } from 'chai';
import { Expose } from 'class-transformer';
import express from 'express';
import fastify from 'fastify';
import { Hono } from 'hono';
import {
  type App,
  Consumer,
  IsAuthenticated,
  injectView,
  nodeView,
  Permissions,
  path,
  route,
  type View,
  viewAsConsumer,
} from 'signalbox';
import { connect } from 'signalbox/testing';
import { useServer } from '../support/serving.js';

class RoomView {
  @Expose() id!: number;
  @Expose() name!: string;
}

const actions = {
  retrieve: route('GET /rooms/:pk', RoomView),
  list: route('GET /rooms'),
  rename: route('PATCH /rooms/:pk'),
  drop: route('DELETE /rooms/:pk'),
  crash: route('GET /crash'),
  picture: route('GET /picture'),
};

const secret = { password: 'hidden' };
const bytes = [0xff, 0xd8];

const expressApp = express()
  .set('env', 'test')
  .use(express.json())
  .get('/rooms', (request, response) => void response.json([request.query['tag'], request.headers.cookie]))
  .get('/rooms/:pk', ({ params }, response) => void response.json({ id: Number(params.pk), name: 'red', ...secret }))
  .patch(
    '/rooms/:pk',
    (request, response) => void response.json({ id: request.params.pk, ...(request.body as object) }),
  )
  .delete('/rooms/:pk', (_, response) => void response.sendStatus(204))
  .get('/crash', () => {
    throw Object.assign(new Error('no tea'), { status: 418 });
  })
  .get('/picture', (_, response) => void response.type('image/jpeg').send(Buffer.from(bytes)));

const fastifyApp = fastify();
fastifyApp.get<{ Querystring: { tag?: string } }>('/rooms', async ({ query, headers }) => [query.tag, headers.cookie]);
fastifyApp.get<{ Params: { pk: string } }>('/rooms/:pk', async ({ params }) => ({
  id: Number(params.pk),
  name: 'red',
  ...secret,
}));
fastifyApp.patch<{ Params: { pk: string }; Body: object }>('/rooms/:pk', async ({ params, body }) => ({
  id: params.pk,
  ...(body as object),
}));
fastifyApp.delete('/rooms/:pk', async (_, reply) => void reply.code(204).send());
fastifyApp.get('/crash', async (_, reply) => void reply.code(418).send({ message: 'no tea' }));
fastifyApp.get('/picture', async (_, reply) => void reply.type('image/jpeg').send(Buffer.from(bytes)));

const honoApp = new Hono()
  .get('/rooms', (c) => c.json([c.req.queries('tag'), c.req.header('cookie')]))
  .get('/rooms/:pk', (c) => c.json({ id: Number(c.req.param('pk')), name: 'red', ...secret }))
  .patch('/rooms/:pk', async (c) => c.json({ id: c.req.param('pk'), ...(await c.req.json<object>()) }))
  .delete('/rooms/:pk', (c) => c.body(null, 204))
  .get('/crash', (c) => c.json({ message: 'no tea' }, 418))
  .get('/picture', (c) => c.body(new Uint8Array(bytes), 200, { 'content-type': 'image/jpeg' }));

const views: Readonly<Record<string, View>> = {
  'Hono, a fetch handler': (request) => honoApp.fetch(request),
  'Express, a request handler of Node': nodeView(expressApp),
  'Fastify, by its inject function': injectView((options) => fastifyApp.inject(options)),
};

describe('viewAsConsumer', () => {
  const serve = useServer();

  for (const [name, view] of Object.entries(views)) {
    describe(`with ${name}`, () => {
      let app: App;

      beforeEach(() => {
        ({ app } = serve([path('/ws/', viewAsConsumer(view, actions))]));
      });

      it('fills the path with what the client names, and shows what the declared reply shows', async () => {
        await using ann = await connect(app, '/ws/');
        expect(await ann.request('retrieve', { request_id: 1, pk: 4 })).to.deep.equal({
          errors: [],
          data: { id: 4, name: 'red' },
          action: 'retrieve',
          response_status: 200,
          request_id: 1,
        });
      });

      it('passes lists of the query on, and the cookies of the connection', async () => {
        await using ann = await connect(app, '/ws/', { cookies: { session: 'abc' } });
        const { data } = await ann.request('list', { query: { tag: ['red', 'blue'] } });
        expect(data).to.deep.equal([['red', 'blue'], 'session=abc']);
      });

      it('sends data as a JSON body', async () => {
        await using ann = await connect(app, '/ws/');
        const { data } = await ann.request('rename', { parameters: { pk: 4 }, data: { name: 'grün' } });
        expect(data).to.deep.equal({ id: '4', name: 'grün' });
      });

      it('answers nothing with null', async () => {
        await using ann = await connect(app, '/ws/');
        expect(await ann.request('drop', { pk: 4 })).to.deep.include({ data: null, response_status: 204 });
      });

      it('answers an error with its status', async () => {
        await using ann = await connect(app, '/ws/');
        const { errors, ...rest } = await ann.request('crash');
        expect(String(errors[0])).to.include('no tea');
        expect(rest).to.include({ data: null, response_status: 418, code: 'view_failed' });
      });

      it('answers bytes as hexadecimal digits', async () => {
        await using ann = await connect(app, '/ws/');
        expect(await ann.request('picture')).to.deep.include({ data: 'ffd8', response_status: 200 });
      });

      it('refuses a missing part of the path, and one that leads elsewhere', async () => {
        await using ann = await connect(app, '/ws/');
        expect(await ann.request('retrieve')).to.deep.include({
          errors: [{ pk: ['This field is required.'] }],
          response_status: 400,
        });
        expect(await ann.request('retrieve', { pk: '..' })).to.deep.include({
          errors: [{ pk: ['This cannot be a part of a path.'] }],
          response_status: 400,
        });
      });

      it('refuses an answer that is larger than the setting allows, and the socket lives', async () => {
        const routes = [path('/ws/', viewAsConsumer(view, actions))];
        const settings = { maxViewAnswer: 40 };
        const { app: small } = serve(routes, { settings });
        await using ann = await connect(small, '/ws/');
        expect(await ann.request('list', { request_id: 1, query: { tag: 'x'.repeat(50) } })).to.deep.equal({
          errors: ['The answer of the view is larger than 40 bytes.'],
          data: null,
          action: 'list',
          response_status: 500,
          request_id: 1,
          code: 'view_failed',
        });
        expect(await ann.request('drop', { pk: 4 })).to.include({ response_status: 204 });
      });
    });
  }

  it('is extended for permissions', async () => {
    @Consumer()
    @Permissions(IsAuthenticated)
    class Rooms extends viewAsConsumer(() => Response.json('in')) {}

    const { app } = serve([path('/ws/', Rooms)]);
    const refused = await connect(app, '/ws/').then(
      () => undefined,
      (error: unknown) => error,
    );
    expect(refused).to.include({ status: 401 });
    await using ann = await connect(app, '/ws/', {
      prepare: (scope) => void Object.assign(scope, { user: { id: 1 } }),
    });
    expect(await ann.request('list')).to.include({ data: 'in' });
  });

  it('aborts the request when the client leaves', async () => {
    const started = Promise.withResolvers<AbortSignal>();
    const view: View = ({ signal }) => {
      started.resolve(signal);
      return new Promise((_, reject) => signal.addEventListener('abort', () => reject(signal.reason)));
    };
    const { app } = serve([path('/ws/', viewAsConsumer(view))]);
    const ann = await connect(app, '/ws/');
    ann.send({ action: 'list', request_id: 1 });
    const signal = await started.promise;
    ann.close();
    await ann.ended;
    expect(signal.aborted).to.equal(true);
  });

  it('answers 500 where a handler of Node rejects', async () => {
    const routes = [path('/ws/', viewAsConsumer(nodeView(() => Promise.reject(new Error('secret')))))];
    const { app } = serve(routes);
    await using ann = await connect(app, '/ws/');
    expect(await ann.request('list')).to.include({ response_status: 500, code: 'server_error' });
  });
});
