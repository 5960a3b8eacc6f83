import { ModelSerializer } from 'signalbox';
import { injectable } from 'tsyringe';
import { Task } from '../entities/task.js';

/** What clients are shown of a task, and what they may send. */
@injectable()
export class TaskSerializer extends ModelSerializer(Task, { fields: ['id', 'title', 'done'], readOnly: ['id'] }) {}
