-- The owner's timeline. A trigger, so that no path that ends a holding can forget it; it takes the operation's
-- own clock from updated_at.
CREATE OR REPLACE FUNCTION baton_lock_event_v1() RETURNS trigger LANGUAGE plpgsql AS $$
BEGIN
  INSERT INTO lock_events (device_id, agent, started_at, ended_at, reason)
  VALUES (OLD.device_id, OLD.active_agent, OLD.locked_at, least(NEW.updated_at, OLD.lock_expires_at),
    CASE
      WHEN OLD.lock_expires_at <= NEW.updated_at THEN 'expired'
      WHEN NEW.active_agent IS NULL THEN 'cleared'
      ELSE 'handed_over'
    END);
  RETURN NULL;
END $$;

CREATE OR REPLACE TRIGGER lock_event AFTER UPDATE OF active_agent, locked_at ON conversation_states FOR EACH ROW
WHEN (OLD.active_agent IS NOT NULL AND (OLD.active_agent, OLD.locked_at) IS DISTINCT FROM (NEW.active_agent, NEW.locked_at))
EXECUTE FUNCTION baton_lock_event_v1();
