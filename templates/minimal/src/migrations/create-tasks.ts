import { Migration } from '@mikro-orm/migrations';

export class CreateTasks extends Migration {
  override up(): void {
    this.addSql(`
      create table "task" (
        "id" serial primary key,
        "title" varchar(200) not null,
        "done" boolean not null default false
      )`);
  }

  override down(): void {
    this.addSql('drop table "task"');
  }
}
