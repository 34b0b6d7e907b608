package com.example.exp;

import org.springframework.jdbc.core.JdbcTemplate;
import org.springframework.stereotype.Repository;
import org.springframework.transaction.annotation.Transactional;

@Repository
public class UserRepository {
    private final JdbcTemplate jdbc;

    public UserRepository(JdbcTemplate jdbc) {
        this.jdbc = jdbc;
    }

    @Transactional
    public void addExp(String userId, long exp) {
        int updated = jdbc.update("UPDATE users SET exp = exp + ? WHERE id = ?", exp, userId);
        if (updated == 0) {
            jdbc.update("INSERT INTO users (id, exp) VALUES (?, ?)", userId, exp);
        }
    }

    public long exp(String userId) {
        return jdbc.queryForList("SELECT exp FROM users WHERE id = ?", Long.class, userId).stream().findFirst().orElse(0L);
    }
}
