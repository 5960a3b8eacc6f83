import { Migration } from '@mikro-orm/migrations';

export class AddVisits extends Migration {
  override up(): void {
    this.addSql(`
      create table "visit" (
        "process" uuid not null,
        "room_id" int not null constraint "visit_room_id_foreign" references "room" ("id") on delete cascade,
        "user_id" int not null constraint "visit_user_id_foreign" references "user" ("id") on delete cascade,
        "expires_at" timestamptz not null,
        primary key ("process", "room_id", "user_id")
      )`);
    this.addSql('create index "visit_expires_at_index" on "visit" ("expires_at")');
    // These rows were written by processes without visits.
    this.addSql('delete from "room_current_users"');
  }

  override down(): void {
    this.addSql('drop table "visit"');
  }
}
