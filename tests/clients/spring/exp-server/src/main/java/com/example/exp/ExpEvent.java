package com.example.exp;

/** A player gained experience. */
public record ExpEvent(String userId, long exp) {
}
