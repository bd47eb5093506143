/** The settings a storage needs, the same for each of them. */
export interface StorageLimits {
  /** Messages of the session that a turn brings along. */
  history: number;
  /** Failed turns after which a message is set aside. */
  maxAttempts: number;
  /** Milliseconds before a reply of unknown fate is sent again. */
  resendAfterMs: number;
  /** Seconds a chat session lives after its last activity. */
  sessionTtl: number;
  /** The same, once completed. */
  completedTtl: number;
  /** Bytes of a state document, as the storage prints it. */
  maxStateBytes: number;
  /** Days; 0 keeps messages for ever. */
  retentionDays: number;
}
