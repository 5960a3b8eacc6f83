import 'reflect-metadata';
import { expect } from 'chai';
import { Type } from 'class-transformer';
import { IsInt, IsOptional, Length, Max, Min } from 'class-validator';
import { Action, ApiConsumer, type App, ConfigurationError, Consumer, path, router } from 'signalbox';
import { connect } from 'signalbox/testing';
import { z } from 'zod';
import { refusal } from '../support/refusal.js';
import { useServer } from '../support/serving.js';
import { refusalOf } from '../support/sockets.js';

class RoomParams {
  @IsInt()
  @Max(100)
  room!: number;

  @Length(1, 5)
  seat!: string;
}

class RoomQuery {
  @Type(() => Number)
  @IsInt()
  @Min(1)
  page = 1;

  @IsOptional()
  @Length(1, 3, { each: true })
  tag?: string[];
}

const Tenant = z.object({ 'x-tenant': z.enum(['red', 'blue']) });

@Consumer()
class RoomConsumer extends ApiConsumer {
  @Action()
  async params() {
    const params = this.scope.paramsAs(RoomParams);
    return { isInstance: params instanceof RoomParams, params };
  }

  @Action()
  async pattern() {
    return { whole: this.scope.paramsAs('/rooms/:room(int)/:seat/'), part: this.scope.paramsAs(':room(int)') };
  }

  @Action()
  async query() {
    return this.scope.queryAs(RoomQuery);
  }

  @Action()
  async headers() {
    return this.scope.headersAs(Tenant);
  }

  @Action()
  async undeclared() {
    const texts: string[] = [];
    for (const read of [
      () => this.scope.queryAs(RoomParams),
      () => this.scope.headersAs(z.object({})),
      () => this.scope.paramsAs(':room'),
      () => this.scope.paramsAs('/rooms/:room(int)/:other'),
    ]) {
      try {
        read();
      } catch (error) {
        if (error instanceof ConfigurationError) texts.push(error.message);
      }
    }
    return texts;
  }
}

describe('The parameters of a route', () => {
  const serve = useServer();
  let app: App;

  beforeEach(async () => {
    ({ app } = serve([
      path('/rooms/:room(int)/:seat/', RoomConsumer, { params: RoomParams }),
      path('/query/', RoomConsumer, { query: RoomQuery }),
      path('/tenant/', router([path('', RoomConsumer, { headers: Tenant })])),
    ]));
  });

  async function ask(url: string, action: string, headers: Record<string, string> = {}): Promise<unknown> {
    await using ann = await connect(app, url, { headers });
    return (await ann.request(action)).data;
  }

  async function refused(url: string, headers: Record<string, string> = {}) {
    const { status, message } = await refusal(app, url, { headers });
    return { status, sentence: message };
  }

  it('are given checked, as instances of the class that the route declares', async () => {
    expect(await ask('/rooms/4/a1/', 'params')).to.deep.equal({ isInstance: true, params: { room: 4, seat: 'a1' } });
    expect(await ask('/query/', 'query')).to.deep.equal({ page: 1 });
    expect(await ask('/query/?page=2&tag=a&tag=b&other=1', 'query')).to.deep.equal({ page: 2, tag: ['a', 'b'] });
  });

  it('are given as the pattern of the route types them', async () => {
    expect(await ask('/rooms/4/a1/', 'pattern')).to.deep.equal({ whole: { room: 4, seat: 'a1' }, part: { room: 4 } });
  });

  it('may be checked by any Standard Schema', async () => {
    expect(await ask('/tenant/', 'headers', { 'X-Tenant': 'red' })).to.deep.equal({ 'x-tenant': 'red' });
  });

  it('of the path that do not fit are a path that is not there', async () => {
    const nothing = { status: 404, sentence: 'Nothing is served at this path.' };
    for (const url of ['/rooms/101/a1/', '/rooms/4/too-long/', '/rooms/four/a1/', '/rooms/4/%ED%A0%80/'])
      expect(await refused(url), url).to.deep.equal(nothing);
  });

  it('of query and headers that do not fit are refused with 400 and what is wrong', async () => {
    expect(await refused('/query/?page=0')).to.deep.equal({
      status: 400,
      sentence: 'The query does not fit: page must not be less than 1.',
    });
    expect(await refused('/query/?page=one&tag=long&tag=b'))
      .to.have.property('sentence')
      .that.includes('tag');
    expect(await refused('/query/?page=1&page=2')).to.include({ status: 400 });
    expect(await refused('/tenant/', { 'x-tenant': 'green' }))
      .to.have.property('sentence')
      .that.matches(/^The headers do not fit: x-tenant: Invalid option/);
    expect(await refused('/tenant/')).to.include({ status: 400 });
  });

  it('are refused over a network before the socket opens', async () => {
    const { port } = await app.listen({ host: '127.0.0.1' });
    expect(await refusalOf(`ws://127.0.0.1:${port}/query/?page=0`)).to.deep.equal({
      status: 400,
      sentence: 'The query does not fit: page must not be less than 1.',
    });
  });

  it('with broken escapes or lone surrogates are no server error', async () => {
    for (const query of ['page=%', 'page=%ff', 'page=%ED%A0%80', 'page=\ud800', '__proto__=1&page=x', 'page=1?page=0'])
      expect(await refused(`/query/?${query}`), query).to.include({ status: 400 });
    for (const query of ['%=1', '%ED%A0%80', '\ud800=\udfff', '__proto__=1', '&&=', '?'])
      expect(await ask(`/query/?${query}`, 'query'), query).to.deep.equal({ page: 1 });
  });

  it('that the route does not declare are a mistake of the consumer, which is told', async () => {
    expect(await ask('/rooms/4/a1/', 'undeclared')).to.deep.equal([
      'Scope.queryAs: the route /rooms/:room(int)/:seat/ does not declare RoomParams as its query. ' +
        "Declare it: path('/rooms/:room(int)/:seat/', …, { query: RoomParams }).",
      'Scope.headersAs: the route /rooms/:room(int)/:seat/ does not declare this schema as its headers. ' +
        "Declare it: path('/rooms/:room(int)/:seat/', …, { headers: this schema }).",
      'Scope.paramsAs: the route /rooms/:room(int)/:seat/ has no :room. Name parameters that it has.',
      'Scope.paramsAs: the route /rooms/:room(int)/:seat/ has no :other. Name parameters that it has.',
    ]);
  });
});
