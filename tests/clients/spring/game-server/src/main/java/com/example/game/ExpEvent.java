package com.example.game;

/** A player gained experience. */
public record ExpEvent(String userId, long exp) {
}
