import { Migration } from '@mikro-orm/migrations';

export class CreateAccounts extends Migration {
  override up(): void {
    this.addSql(`
      create table "user" (
        "id" serial primary key,
        "username" varchar(150) not null constraint "user_username_unique" unique,
        "password_hash" varchar(255) not null
      )`);
    this.addSql(`
      create table "session" (
        "id" varchar(64) primary key,
        "user_id" int not null constraint "session_user_id_foreign" references "user" ("id"),
        "expires_at" timestamptz not null
      )`);
    this.addSql('create index "session_expires_at_index" on "session" ("expires_at")');
  }

  override down(): void {
    this.addSql('drop table "session"');
    this.addSql('drop table "user"');
  }
}
