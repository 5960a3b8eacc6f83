import {
  Action,
  ActionContext,
  Consumer,
  Create,
  Delete,
  List,
  ModelConsumer,
  type ModelEvent,
  ModelObserver,
  mix,
  Patch,
  type Subscription,
} from 'signalbox';
import { Task } from '../entities/task.js';
import { TaskSerializer } from './task-serializer.js';

/** The actions for tasks. One instance serves one connection. */
@Consumer()
export class TaskConsumer extends mix(
  ModelConsumer(Task, { serializer: TaskSerializer }),
  List,
  Create,
  Patch,
  Delete,
) {
  /** From here on the client receives each task that is created, changed or deleted. */
  @Action({ status: 201 })
  async subscribeToTasks(context: ActionContext) {
    await this.subscribe(this.onTask, {}, context);
  }

  /** Called for each committed change, and never for one that was rolled back. */
  @ModelObserver(() => Task, { serializer: TaskSerializer })
  async onTask(event: ModelEvent<TaskSerializer>, subscription: Subscription) {
    await subscription.send(event);
  }
}
