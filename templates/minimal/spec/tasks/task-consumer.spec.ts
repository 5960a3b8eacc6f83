import type { MikroORM } from '@mikro-orm/core';
import { expect } from 'chai';
import { connect, truncate } from 'signalbox/testing';
import { createApplication } from '../../src/app.js';
import { sharedDatabase, TIME_TO_OPEN } from '../support/database.js';

describe('TaskConsumer', () => {
  let orm: MikroORM;
  let app: ReturnType<typeof createApplication>;

  before(async function () {
    this.timeout(TIME_TO_OPEN);
    ({ orm } = await sharedDatabase());
    app = createApplication(orm);
  });
  beforeEach(() => truncate(orm));
  after(() => app.close());

  it('creates, changes, lists and deletes tasks', async () => {
    await using client = await connect(app, '/ws/');
    const tasks = client.channel('tasks');
    const created = await tasks.request('create', { data: { title: 'Write a spec' } });
    expect(created).to.deep.include({ response_status: 201, data: { id: 1, title: 'Write a spec', done: false } });
    expect(await tasks.request('patch', { pk: 1, data: { done: true } })).to.include({ response_status: 200 });
    expect((await tasks.request('list')).data).to.deep.equal([{ id: 1, title: 'Write a spec', done: true }]);
    expect(await tasks.request('delete', { pk: 1 })).to.include({ response_status: 204 });
    expect((await tasks.request('list')).data).to.deep.equal([]);
  });

  it('sends each change to every client that subscribed', async () => {
    await using ann = await connect(app, '/ws/');
    await using bob = await connect(app, '/ws/');
    const his = bob.channel('tasks');
    expect(await his.request('subscribe_to_tasks', { request_id: 7 })).to.include({ response_status: 201 });

    await ann.channel('tasks').request('create', { data: { title: 'Tell Bob' } });
    expect(await his.receive()).to.deep.include({
      action: 'create',
      request_id: 7,
      data: { id: 1, title: 'Tell Bob', done: false },
    });
  });

  it('refuses a task without a title', async () => {
    await using client = await connect(app, '/ws/');
    expect(await client.channel('tasks').request('create', { data: { title: '' } })).to.deep.include({
      response_status: 400,
      errors: [{ title: ['Write a title of 1 to 200 characters.'] }],
    });
  });
});
