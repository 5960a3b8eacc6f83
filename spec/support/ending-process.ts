import 'reflect-metadata';
import { Action, ApiConsumer, Consumer, createApp, path } from 'signalbox';
import { offlineOrm } from './offline-orm.js';

@Consumer()
class Working extends ApiConsumer {
  @Action()
  async work() {
    process.send?.({ isWorking: true });
    await new Promise((resolve) => process.once('message', resolve));
    return 'done';
  }

  @Action()
  async forget() {
    void Promise.reject(new Error('the mail server is away'));
    return 'forgotten';
  }
}

/** A process that serves one consumer until a signal ends it. */
const orm = await offlineOrm();
const app = createApp({ orm, routes: [path('/', Working)], settings: { drain: { delay: 0 }, development: false } });
app.closeOnSignals({ after: () => process.send?.({ hasEnded: true }) });
const { port } = await app.listen({ host: '127.0.0.1' });
process.send?.({ port });
