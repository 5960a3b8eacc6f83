import { ModelSerializer } from 'signalbox';
import { injectable } from 'tsyringe';
import { Task } from '../entities/task.js';

/** Defines what clients see of a task, and what they may send. */
@injectable()
export class TaskSerializer extends ModelSerializer(Task, { fields: ['id', 'title', 'done'], readOnly: ['id'] }) {}
